import { beforeEach, describe, it, jest } from '@jest/globals';
import type { DpopOptions, InvalidDpopProofReason } from '../lib/index.js';
import { expectAdmitted, expectProofRefused, now, present, serveDpop, setScene } from './dpop.js';
import { advance, simulateTime } from './time.js';

const scene = setScene();

simulateTime();

beforeEach(() => {
  // At the turn of a second, where an edge is an edge.
  jest.setSystemTime(now() * 1000 + 1000);
});

type Outcome = 'admitted' | InvalidDpopProofReason;

async function expectOutcome(outcome: Outcome, options: Partial<DpopOptions>, claims: object): Promise<void> {
  const app = serveDpop(scene.issuer, options);
  const proof = await scene.prove({ claims: { ...claims } });
  const sent = present(app, scene.token, proof);
  if (outcome === 'admitted') await expectAdmitted(app, sent);
  else await expectProofRefused(app, sent, outcome);
}

describe('the window for iat', () => {
  it.each<[string, Partial<DpopOptions>, number, Outcome]>([
    ['as it is by default', {}, -61, 'proof_too_old'],
    ['as it is by default', {}, -60.001, 'proof_too_old'],
    ['as it is by default', {}, -60, 'admitted'],
    ['as it is by default', {}, 0, 'admitted'],
    ['as it is by default', {}, 5, 'admitted'],
    ['as it is by default', {}, 5.001, 'proof_issued_in_future'],
    ['as it is by default', {}, 6, 'proof_issued_in_future'],
    ['of an hour', { maxAge: 3_600 }, -3_600, 'admitted'],
    ['of an hour', { maxAge: 3_600 }, -3_601, 'proof_too_old'],
    ['of a second', { maxAge: 1 }, -1, 'admitted'],
    ['of a second', { maxAge: 1 }, -2, 'proof_too_old'],
    ['without tolerance', { clockTolerance: 0 }, 0, 'admitted'],
    ['without tolerance', { clockTolerance: 0 }, 1, 'proof_issued_in_future'],
    ['without tolerance', { clockTolerance: 0 }, -60, 'admitted'],
    ['of great tolerance', { clockTolerance: 300 }, 300, 'admitted'],
    ['of great tolerance', { clockTolerance: 300 }, 301, 'proof_issued_in_future'],
    ['of great tolerance, which says nothing of the past', { clockTolerance: 300 }, -61, 'proof_too_old'],
  ])('%s (%j), is such that %d seconds are %s', async (_, options, offset, outcome) => {
    await expectOutcome(outcome, options, { iat: Date.now() / 1000 + offset });
  });

  it('goes on with time', async () => {
    const app = serveDpop(scene.issuer);
    const [one, other] = [await scene.prove(), await scene.prove()];
    await advance({ seconds: 60 });
    await expectAdmitted(app, present(app, scene.token, one));
    await advance({ seconds: 1 });
    await expectProofRefused(app, present(app, scene.token, other), 'proof_too_old');
  });
});

describe('a proof with times of its own', () => {
  it.each<[string, number, Outcome]>([
    ['exp', 1, 'admitted'],
    ['exp', 0.001, 'admitted'],
    ['exp', 0, 'proof_too_old'],
    ['exp', -1, 'proof_too_old'],
    ['nbf', -1, 'admitted'],
    ['nbf', 5, 'admitted'],
    ['nbf', 5.001, 'proof_issued_in_future'],
  ])('%s %d seconds from now is %s', async (name, offset, outcome) => {
    await expectOutcome(outcome, {}, { [name]: Date.now() / 1000 + offset });
  });
});
