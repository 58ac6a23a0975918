import { hostname } from 'node:os';

/** What this process is called where others read of it: its host and its process id. */
export const PROCESS_NAME = `${hostname()}:${process.pid}`;
