/** The number of connections; each sends its next request after a response. */
import { TURNS } from '../harness/fleet.js';
import { grow } from '../harness/grow.js';

export const title = 'Connections';

const SIZES = [1, 10, 100, 1000];

export function run(plan) {
  const points = SIZES.map((connections) => ({
    label: connections.toLocaleString('en-US'),
    x: connections,
    kinds: ['cached'],
    connections,
    // At least two of each connection in each turn.
    requests: Math.max(plan.requests, TURNS * 2 * connections),
  }));
  return grow(plan, points);
}
