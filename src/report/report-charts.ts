/** The charts of the report: inline SVG, coloured by the style sheet, described for those who cannot see it. */
import { html, type SafeHtml } from './html.js';
import { formatNumber, formatShare } from './report-labels.js';

/** One part of a chart. */
export interface ChartPart {
  label: string;
  value: number;
  /** Name of the colour: the style sheet defines `--<colour>`. */
  colour: string;
}

/** Text for assistive technology. */
export interface ChartText {
  /** Id prefix, unique in the document. */
  id: string;
  title: string;
}

/** A ring whose segments show the share of each part, with the total in the middle. */
export function donut({ id, title }: ChartText, all: readonly ChartPart[], unit: string): SafeHtml {
  const parts = all.filter(({ value }) => value > 0);
  const total = sum(parts);
  const gap = parts.length > 1 ? 0.6 : 0;
  let drawn = 0;
  const segments = widths(parts, 1.2).map((width, at) => {
    const start = drawn;
    drawn += width;
    return html`<circle
      class="segment"
      r="42"
      cx="60"
      cy="60"
      pathLength="100"
      style="stroke:var(--${parts[at]?.colour})"
      stroke-dasharray="${round(Math.max(width - gap, 0.1))} 100"
      stroke-dashoffset="${round(-start)}"
    />`;
  });
  return html`<svg class="donut" viewBox="0 0 120 120" role="img" aria-labelledby="${id}-title ${id}-desc">
    <title id="${id}-title">${title}</title>
    <desc id="${id}-desc">${describe(parts, total)}</desc>
    <g transform="rotate(-90 60 60)">${segments}</g>
    <text class="donut-total" x="60" y="60">${formatNumber(total)}</text>
    <text class="donut-unit" x="60" y="73">${unit}</text>
  </svg>`;
}

const ROW_HEIGHT = 26;
const LABEL_WIDTH = 132;
const BAR_WIDTH = 270;
const CHART_WIDTH = 500;
const LONGEST_LABEL = 18;

/** Horizontal bars, the longest for the largest value. */
export function bars({ id, title }: ChartText, parts: readonly ChartPart[], whole: number): SafeHtml {
  const largest = Math.max(1, ...parts.map(({ value }) => value));
  const height = Math.max(parts.length, 1) * ROW_HEIGHT;
  const rows = parts.map(({ label, value, colour }, at) => {
    const width = Math.max((BAR_WIDTH * value) / largest, 2);
    const middle = at * ROW_HEIGHT + ROW_HEIGHT / 2;
    return html`<text class="bar-label" x="${LABEL_WIDTH - 10}" y="${middle}">${shorten(label)}</text>
      <rect
        x="${LABEL_WIDTH}"
        y="${middle - 8}"
        width="${round(width)}"
        height="16"
        rx="3"
        style="fill:var(--${colour})"
      />
      <text class="bar-value" x="${round(LABEL_WIDTH + width + 8)}" y="${middle}">
        ${formatNumber(value)}<tspan class="bar-share" dx="6">${formatShare(value, whole)}</tspan>
      </text>`;
  });
  return html`<svg
    class="bars"
    viewBox="0 0 ${CHART_WIDTH} ${height}"
    role="img"
    aria-labelledby="${id}-title ${id}-desc"
  >
    <title id="${id}-title">${title}</title>
    <desc id="${id}-desc">${describe(parts, whole)}</desc>
    ${rows}
  </svg>`;
}

/** One bar over the full width, cut into the parts of a whole. */
export function stackedBar({ id, title }: ChartText, all: readonly ChartPart[]): SafeHtml {
  const parts = all.filter(({ value }) => value > 0);
  let drawn = 0;
  const pieces = widths(parts, 0.8).map((width, at) => {
    const x = drawn;
    drawn += width;
    const inset = at === parts.length - 1 ? 0 : 0.2;
    return html`<rect
      x="${round(x)}"
      width="${round(Math.max(width - inset, 0.1))}"
      height="10"
      style="fill:var(--${parts[at]?.colour})"
    />`;
  });
  return html`<svg
    class="stacked"
    viewBox="0 0 100 10"
    preserveAspectRatio="none"
    role="img"
    aria-labelledby="${id}-title ${id}-desc"
  >
    <title id="${id}-title">${title}</title>
    <desc id="${id}-desc">${describe(parts, sum(parts))}</desc>
    ${pieces}
  </svg>`;
}

/** The key to a chart, with the numbers in full. */
export function legend(parts: readonly ChartPart[]): SafeHtml {
  const total = sum(parts);
  return html`<ul class="legend">
    ${parts.map(
      ({ label, value, colour }) =>
        html`<li class="${value === 0 && 'none'}">
          <span class="swatch" style="background:var(--${colour})"></span
          ><span class="legend-label">${label}</span>
          <span class="legend-value">${formatNumber(value)}</span>
          <span class="legend-share">${formatShare(value, total)}</span>
        </li>`,
    )}
  </ul>`;
}

/** Percentages of a whole in which even the smallest part stays visible. */
function widths(parts: readonly ChartPart[], smallest: number): number[] {
  const total = sum(parts) || 1;
  const raised = parts.map(({ value }) => Math.max((100 * value) / total, smallest));
  const scale = 100 / (raised.reduce((all, width) => all + width, 0) || 1);
  return raised.map((width) => width * scale);
}

function describe(parts: readonly ChartPart[], whole: number): string {
  if (parts.length === 0) return 'There is nothing to show.';
  return parts
    .map(({ label, value }) => `${label}: ${formatNumber(value)} (${formatShare(value, whole)})`)
    .join('; ');
}

function shorten(label: string): string {
  return label.length > LONGEST_LABEL ? `${label.slice(0, LONGEST_LABEL - 1)}…` : label;
}

function sum(parts: readonly ChartPart[]): number {
  return parts.reduce((total, { value }) => total + value, 0);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
