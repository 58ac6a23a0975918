/** The style sheet of the report: one column, light and dark after the reader's system, fit for paper. */
export const REPORT_STYLE = `
:root {
  color-scheme: light dark;
  --page: #f4f5f7; --card: #ffffff; --line: #e1e4ea; --text: #1b2230; --soft: #5b6577; --stripe: #f9fafb;
  --public-domain: #1295a3; --permissive: #3a6fd8; --weak-copyleft: #d99a1c; --strong-copyleft: #d2552e;
  --proprietary: #9350c4; --unknown: #8791a1;
  --consistent: #2c9a63; --contradiction: #d99a1c; --undeclared: #8791a1; --failed: #cf3b4a; --bar: #3a6fd8;
  --contradiction-text: #7d5600; --contradiction-back: #fdf1d6; --consistent-text: #17683f;
  --consistent-back: #e2f4ea; --undeclared-text: #4a5363; --undeclared-back: #eceff3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10141b; --card: #181e28; --line: #2b3442; --text: #e6eaf1; --soft: #98a3b5; --stripe: #1c232e;
    --public-domain: #3cb8c4; --permissive: #6c98f0; --weak-copyleft: #e6b34a; --strong-copyleft: #ea7c57;
    --proprietary: #b57fe0; --unknown: #7d889a;
    --consistent: #47b97f; --contradiction: #e6b34a; --undeclared: #7d889a; --failed: #ee6a76; --bar: #6c98f0;
    --contradiction-text: #f3cd7c; --contradiction-back: #3a2f14; --consistent-text: #7fd9a8;
    --consistent-back: #16352a; --undeclared-text: #b6bfcd; --undeclared-back: #2a3240;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main, header, footer { max-width: 1240px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 44px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.02em; margin: 0 0 6px; overflow-wrap: anywhere; }
h2 { font-size: 19px; letter-spacing: -0.01em; margin: 0 0 4px; }
h3 { font-size: 15px; margin: 22px 0 8px; }
.eyebrow { margin: 0 0 6px; color: var(--soft); font-size: 13px; font-weight: 600; letter-spacing: 0.02em; }
.meta, .lead { color: var(--soft); margin: 0; }
.lead { margin: 0 0 14px; max-width: 75ch; }
nav { margin: 18px 0 0; display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 14px; }
nav a { color: var(--bar); text-decoration: none; }
nav a:hover { text-decoration: underline; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 22px 24px; margin: 20px 0; }
.figures { display: grid; grid-template-columns: repeat(5, 1fr); gap: 12px; margin: 0 0 20px; padding: 0; list-style: none; }
.figures li { border-left: 3px solid var(--accent); padding: 2px 0 2px 14px; }
.figures strong { display: block; font-size: 30px; line-height: 1.15; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }
.figures span { color: var(--soft); font-size: 14px; }
.figures .share { white-space: nowrap; }
.charts { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 7fr); gap: 20px; }
.charts .card { margin: 0; }
.with-legend { display: flex; flex-wrap: wrap; align-items: center; gap: 12px 24px; margin-top: 14px; }
.donut { width: 200px; flex: none; }
.segment { fill: none; stroke-width: 15; }
.donut-total { font-size: 21px; font-weight: 650; text-anchor: middle; fill: var(--text); }
.donut-unit { font-size: 8.5px; text-anchor: middle; fill: var(--soft); }
.bars { width: 100%; max-width: 640px; display: block; margin-top: 14px; }
.bar-label { text-anchor: end; } .bar-label, .bar-value { font-size: 12.5px; dominant-baseline: central; fill: var(--text); }
.bar-share { fill: var(--soft); }
.stacked { display: block; width: 100%; height: 22px; border-radius: 6px; }
.legend { list-style: none; margin: 0; padding: 0; font-size: 14px; flex: 1; min-width: 190px; }
.legend .none { color: var(--soft); } .none .legend-value { font-weight: 400; }
.legend li { display: flex; align-items: center; gap: 9px; padding: 3px 0; }
.legend-label { flex: 1; white-space: nowrap; }
.legend-value { font-weight: 600; font-variant-numeric: tabular-nums; }
.legend-share { color: var(--soft); min-width: 52px; text-align: right; font-variant-numeric: tabular-nums; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 3px; flex: none; }
table { width: 100%; border-collapse: collapse; font-size: 14px; }
th, td { text-align: left; vertical-align: top; padding: 8px 14px 8px 0; border-bottom: 1px solid var(--line); }
thead th { font-size: 13px; color: var(--soft); font-weight: 600; background: var(--card); position: sticky; top: 0; white-space: nowrap; }
tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 200px; }
tbody tr:last-child > * { border-bottom: 0; }
tbody tr:hover > * { background: var(--stripe); }
.version, .number { font-variant-numeric: tabular-nums; }
.version { max-width: 15ch; overflow-wrap: anywhere; min-width: 8ch; }
td { overflow-wrap: break-word; max-width: 40ch; }
td.message, td.obligations { max-width: none; }
td.obligations, .message, .muted, .remarks { color: var(--soft); }
.obligations { font-size: 13px; min-width: 320px; }
.message, .declared { overflow-wrap: anywhere; min-width: 13ch; }
.muted, .remarks { font-size: 13px; font-weight: 400; }
td > .remarks { color: var(--text); font-size: 14px; }
.plain { list-style: none; margin: 0; padding: 0; }
.plain li { overflow-wrap: break-word; min-width: 11ch; }
.chip { display: inline-block; border-radius: 99px; padding: 1px 10px; font-size: 13px; font-weight: 600; white-space: nowrap; }
.verdict-consistent { color: var(--consistent-text); background: var(--consistent-back); }
.verdict-contradiction { color: var(--contradiction-text); background: var(--contradiction-back); }
.verdict-undeclared { color: var(--undeclared-text); background: var(--undeclared-back); }
.category { display: inline-flex; align-items: center; gap: 8px; white-space: nowrap; }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; color: var(--soft); margin-left: 8px; }
.count { color: var(--soft); font-weight: 400; margin-left: 8px; }
.meter { width: 45%; min-width: 120px; vertical-align: middle; }
.meter > span { display: block; height: 10px; min-width: 2px; border-radius: 3px; background: var(--bar); }
footer { color: var(--soft); font-size: 13px; padding-bottom: 48px; }
@media (max-width: 900px) {
  .charts { grid-template-columns: minmax(0, 1fr); }
  .figures { grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); }
  .table-wrap { overflow-x: auto; } .wide table { min-width: 860px; }
  main, header, footer { padding-left: 14px; padding-right: 14px; }
  .card { padding: 18px 16px; }
}
@media print {
  body { background: none; font-size: 11px; } nav { display: none; }
  .card { border: 0; padding: 0; } thead th { position: static; } tr, .charts .card { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
