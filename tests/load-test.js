// The k6 form of a load test, for those who prefer it: k6 run tests/load-test.js
//
// Environment (k6 run -e NAME=value …):
//   BASE_URL   where the server is          http://localhost:8080
//   RATE       requests a second            20
//   DURATION   how long at that rate        1m
//   RAMP       how long to get there        10s
//   P99_MS     what p99 must stay below     500
//
// The arrival-rate executor is an open model, but k6 sends no request when all of its users are busy:
// `dropped_iterations` counts those, and the threshold below fails the run if there are any.
// k6 counts latency from the moment it sends; `podsense load` counts from when a request was due.

import http from 'k6/http';
import {check} from 'k6';

const base = (__ENV.BASE_URL || 'http://localhost:8080').replace(/\/+$/, '');
const rate = Number(__ENV.RATE || 20);
const row = JSON.stringify({features: Array.from({length: 20}, (_, i) => i + 1)});

export const options = {
  scenarios: {
    open: {
      executor: 'ramping-arrival-rate',
      startRate: 1,
      timeUnit: '1s',
      preAllocatedVUs: Math.max(10, rate),
      maxVUs: Math.max(200, rate * 10),
      stages: [
        {duration: __ENV.RAMP || '10s', target: rate},
        {duration: __ENV.DURATION || '1m', target: rate},
      ],
    },
  },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate<0.001'],
    http_req_duration: [`p(99)<${__ENV.P99_MS || 500}`],
    dropped_iterations: ['count==0'],
  },
};

export default function () {
  const answer = http.post(`${base}/predict-single`, row, {
    headers: {'Content-Type': 'application/json'},
  });
  check(answer, {
    'status is 200': (r) => r.status === 200,
    'there is a prediction': (r) => r.status === 200 && r.json('prediction') !== undefined,
  });
}
