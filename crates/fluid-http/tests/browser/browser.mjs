// Starts Debian's Chromium, and lists the pages there are.
import { chromium } from 'playwright-core';

export const WIDTHS = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

export const start = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] });

/// Every page, with the runs that this server has.
export async function pages(base) {
  const runs = async (query) => (await (await fetch(`${base}api/v1/runs?limit=1&${query}`)).json()).runs ?? [];
  const one = async (query) => (await runs(query))[0]?.id;
  const failed = await one('state=failure');
  const running = await one('state=running');
  const waiting = await one('task=archive');
  return Object.entries({
    overview: 'ui/',
    tasks: 'ui/tasks',
    tasks_by_tag: 'ui/tasks?tag=images',
    task: 'ui/tasks/resize',
    task_json: 'ui/tasks/resize?json=',
    schedules: 'ui/schedules',
    runs: 'ui/runs',
    runs_filtered: 'ui/runs?state=failure&task=resize&since=1h',
    bulk: 'ui/runs/retry?state=failure',
    run_failed: failed && `ui/runs/${failed}`,
    run_running: running && `ui/runs/${running}`,
    run_waiting: waiting && `ui/runs/${waiting}`,
    log: running && `ui/runs/${running}/log`,
    consumers: 'ui/consumers',
    failure: 'ui/nothing',
  }).filter(([, path]) => path);
}
