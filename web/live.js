// Polls /stats each second while the page is seen, and /health now and then. The charts slide on
// while the server is away, so that a gap shows as a gap.

import {getHealth, getJson} from './api.js';
import {Chart, Samples} from './charts.js';
import {$, bytes, duration, h, number, percent, roughMs, whole} from './dom.js';

const kPeriod = 1000;
const kTimeout = 4000;
const kHealthEvery = 5;                         // polls
const kRetryAfter = [1000, 1000, 2000, 4000];  // then the last for ever

const kLevels = (value) => (value >= 0.9 ? 'high' : value >= 0.7 ? 'raised' : '');

function makeCharts(samples) {
  return [
    new Chart({title: 'Requests per second', series: [{key: 'rate', label: 'rate'}], format: number,
               floor: 5, area: true}, samples),
    new Chart({title: 'Latency over 10 s', format: roughMs, floor: 1, series: [
      {key: 'p50', label: 'p50'}, {key: 'p90', label: 'p90'}, {key: 'p99', label: 'p99'}]}, samples),
    new Chart({title: 'Queue and work', format: number, floor: 4, series: [
      {key: 'queue', label: 'waiting'}, {key: 'inFlight', label: 'in flight'}]}, samples),
    new Chart({title: 'Saturation', series: [{key: 'saturation', label: 'saturation'}], format: percent,
               floor: 1, area: true, level: kLevels}, samples),
  ];
}

/// A sample at `t` from /stats, or from one moment of its history. Latencies of 0 are those of nothing.
function sample(t, stats) {
  const latency = stats.latency_ms ?? {};
  const time = (value) => (value > 0 ? value : NaN);
  return {t, rate: stats.rate, p50: time(latency.p50), p90: time(latency.p90), p99: time(latency.p99),
          queue: stats.queue_depth, inFlight: stats.in_flight, saturation: stats.saturation};
}

/// onHealth(health) runs whenever /health was read.
export class Live {
  #samples = new Samples();
  #charts = makeCharts(this.#samples);
  #onHealth;
  #timer = 0;
  #running = null;     // AbortController of the poll under way
  #failures = 0;       // polls in a row without an answer
  #polls = 0;
  #paused = false;
  #blind = true;       // the server knows of moments that were not seen here
  #health = null;
  #stats = null;

  constructor(onHealth) {
    this.#onHealth = onHealth;
    $('charts').append(...this.#charts.map((chart) => chart.element));
    $('pause').addEventListener('click', () => this.#togglePause());
    $('retry-now').addEventListener('click', () => this.#restart());
    document.addEventListener('visibilitychange', () => this.#restart());
    window.addEventListener('online', () => this.#restart());
    this.#restart();
  }

  #togglePause() {
    this.#paused = !this.#paused;
    $('pause').setAttribute('aria-pressed', String(this.#paused));
    $('pause').textContent = this.#paused ? 'Resume' : 'Pause';
    this.#restart();
  }

  #restart() {
    this.#blind = true;
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
    if (!document.hidden && !this.#paused) this.#poll();
  }

  async #poll() {
    const controller = new AbortController();
    this.#running = controller;
    const started = performance.now();
    const signal = AbortSignal.any?.([controller.signal, AbortSignal.timeout(kTimeout)]) ??
        controller.signal;
    let wait = kPeriod;
    try {
      const wantsHealth = this.#failures > 0 || this.#polls % kHealthEvery === 0;
      const [stats, health] =
          await Promise.all([this.#getStats(signal), wantsHealth ? getHealth({signal}) : null]);
      if (controller.signal.aborted) return;
      this.#polls += 1;
      this.#failures = 0;
      if (health) this.#takeHealth(health.data);
      if (stats) this.#takeStats(stats.data);
    } catch (error) {
      if (controller.signal.aborted) return;
      this.#blind = true;
      wait = kRetryAfter[Math.min(this.#failures, kRetryAfter.length - 1)];
      this.#failures += 1;
      this.#away(error, wait);
    }
    this.#draw();
    this.#timer = setTimeout(() => this.#poll(), Math.max(100, wait - (performance.now() - started)));
  }

  /// null: they are for who has a key, which this tab has not.
  async #getStats(signal) {
    try {
      return await getJson(this.#blind ? 'stats?history=true' : 'stats', {signal});
    } catch (error) {
      if (error.status !== 401 && error.status !== 403) throw error;
      return null;
    }
  }

  #takeHealth(health) {
    this.#health = health;
    this.#onHealth(health);
    const words = health.draining ? 'draining' : !health.started ? 'starting' : health.status;
    this.#showState(health.draining || !health.started ? 'degraded' : health.status, words);
    const problems = health.problems ?? [];
    this.#banner(problems.length > 0 ? `${health.status === 'unavailable' ? 'Not serving' : 'Needs attention'}: ${
        problems.join('; ')}` : '', false);
    this.#models();
  }

  #takeStats(stats) {
    this.#stats = stats;
    const now = performance.now() / 1000;
    if (stats.history) {
      this.#samples.fill(stats.history.map((one) => sample(now - (stats.time - one.time), one)));
      this.#blind = false;
    }
    this.#samples.add(sample(now, stats));
    this.#figures(stats);
    this.#models();
  }

  #away(error, wait) {
    this.#health = null;
    this.#showState('away', 'no connection');
    const reason = error.status ? `the server answered ${error.status} (${error.message})` :
                                  error.message.replace(/\.$/, '').replace(/^The/, 'the');
    this.#banner(`No connection: ${reason}. Trying again every ${wait / 1000} s.`, true);
  }

  #showState(state, words) {
    $('health').dataset.state = state;
    if ($('health-text').textContent !== words) $('health-text').textContent = words;
  }

  #banner(text, retry) {
    const banner = $('banner');
    banner.hidden = text === '';
    banner.dataset.kind = retry ? 'away' : 'problem';
    $('retry-now').hidden = !retry;
    if ($('banner-text').textContent !== text) $('banner-text').textContent = text;
  }

  #draw() {
    const now = performance.now() / 1000;
    for (const chart of this.#charts) chart.draw(now);
  }

  #figures(stats) {
    const cores = `${number(Math.round(stats.cpu_cores_used * 100) / 100)} of ${number(stats.cpu_cores)}`;
    const rows = [
      ['Answered', whole(stats.requests_total)], ['Failed', whole(stats.failed_total)],
      ['Connections', whole(stats.connections)], ['CPU cores', cores],
      ['Memory', stats.rss_bytes === undefined ? '–' : bytes(stats.rss_bytes)], ['Up', duration(stats.uptime_s)],
    ];
    $('figures').replaceChildren(
        ...rows.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
  }

  /// Versions from /health (also those that do not serve) with the numbers of /stats.
  #models() {
    const numbers = new Map(
        (this.#stats?.models ?? []).map((model) => [`${model.name}/${model.version}`, model]));
    const known = this.#health?.models ?? this.#stats?.models ?? [];
    $('models-box').hidden = known.length === 0;
    $('models').replaceChildren(...known.map((model) => {
      const now = numbers.get(`${model.name}/${model.version}`) ?? {};
      const state = model.state ?? 'ready';
      return h('tr', {},
          h('th', {scope: 'row'}, model.name, ' ', h('span.version', {}, `v${model.version}`),
            model.latest ? h('span.tag', {}, 'latest') : null),
          h('td', {}, h('span.state', {'data-state': state}, state),
            model.reason ? h('span.reason', {}, model.reason) : null),
          h('td.n', {}, whole(now.requests_total ?? 0)), h('td.n', {}, roughMs(now.latency_ms?.p50 || NaN)),
          h('td.n', {}, roughMs(now.latency_ms?.p99 || NaN)), h('td.n', {}, whole(now.queue_depth ?? 0)));
    }));
  }
}
