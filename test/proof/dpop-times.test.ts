import { beforeEach, describe, it, jest } from '@jest/globals';
import type { DpopOptions, InvalidDpopProofReason } from '../../lib/index.js';
import { expectAccepted, expectProofRejected, now, present, serveDpop, createScene } from '../support/dpop.js';
import { advance, simulateTime } from '../support/time.js';

const scene = createScene();

simulateTime();

beforeEach(() => {
  // Starts at a full second, so that the limits of the tests are exact.
  jest.setSystemTime(now() * 1000 + 1000);
});

type Outcome = 'accepted' | InvalidDpopProofReason;

async function expectOutcome(outcome: Outcome, options: Partial<DpopOptions>, claims: object): Promise<void> {
  const app = serveDpop(scene.issuer, options);
  const proof = await scene.prove({ claims: { ...claims } });
  const sent = present(app, scene.token, proof);
  if (outcome === 'accepted') await expectAccepted(app, sent);
  else await expectProofRejected(app, sent, outcome);
}

describe('the accepted range of iat', () => {
  it.each<[string, Partial<DpopOptions>, number, Outcome]>([
    ['by default', {}, -61, 'proof_too_old'],
    ['by default', {}, -60.001, 'proof_too_old'],
    ['by default', {}, -60, 'accepted'],
    ['by default', {}, 0, 'accepted'],
    ['by default', {}, 10, 'accepted'],
    ['by default', {}, 10.001, 'proof_issued_in_future'],
    ['by default', {}, 11, 'proof_issued_in_future'],
    ['with a maxAge of an hour', { maxAge: 3_600 }, -3_600, 'accepted'],
    ['with a maxAge of an hour', { maxAge: 3_600 }, -3_601, 'proof_too_old'],
    ['with a maxAge of a second', { maxAge: 1 }, -1, 'accepted'],
    ['with a maxAge of a second', { maxAge: 1 }, -2, 'proof_too_old'],
    ['without clock tolerance', { clockTolerance: 0 }, 0, 'accepted'],
    ['without clock tolerance', { clockTolerance: 0 }, 1, 'proof_issued_in_future'],
    ['without clock tolerance', { clockTolerance: 0 }, -60, 'accepted'],
    ['with a large clock tolerance', { clockTolerance: 300 }, 300, 'accepted'],
    ['with a large clock tolerance', { clockTolerance: 300 }, 301, 'proof_issued_in_future'],
    ['with a large clock tolerance, which does not apply to the past', { clockTolerance: 300 }, -61, 'proof_too_old'],
  ])('%s (%j): an offset of %d seconds is %s', async (_, options, offset, outcome) => {
    await expectOutcome(outcome, options, { iat: Date.now() / 1000 + offset });
  });

  it('moves with time', async () => {
    const app = serveDpop(scene.issuer);
    const [one, other] = [await scene.prove(), await scene.prove()];
    await advance({ seconds: 60 });
    await expectAccepted(app, present(app, scene.token, one));
    await advance({ seconds: 1 });
    await expectProofRejected(app, present(app, scene.token, other), 'proof_too_old');
  });
});

describe('a proof with exp or nbf', () => {
  it.each<[string, number, Outcome]>([
    ['exp', 1, 'accepted'],
    ['exp', 0.001, 'accepted'],
    ['exp', 0, 'proof_too_old'],
    ['exp', -1, 'proof_too_old'],
    ['nbf', -1, 'accepted'],
    ['nbf', 10, 'accepted'],
    ['nbf', 10.001, 'proof_issued_in_future'],
  ])('%s %d seconds from now is %s', async (name, offset, outcome) => {
    await expectOutcome(outcome, {}, { [name]: Date.now() / 1000 + offset });
  });
});
