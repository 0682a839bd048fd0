import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

export interface NonceOptions {
  /** Shared by all processes that accept each other's nonces. @default random */
  readonly secret: string | Uint8Array | undefined;
  /** How long a nonce is accepted. Seconds. */
  readonly maxAge: number;
  /** Returns seconds since the epoch. */
  readonly clock: () => number;
}

const TIME_BYTES = 6;
const MAC_BYTES = 16;
const BYTES = TIME_BYTES + MAC_BYTES;
/** How far the clocks of the processes may differ. Seconds. */
const CLOCK_TOLERANCE = 5;

/**
 * Nonces for DPoP proofs (RFC 9449 §9), without a store: a nonce is the time at which it was made and a MAC over it. The key
 * of the MAC changes after each `maxAge`. It is derived from the secret, so processes with the same secret have the same key.
 */
export class Nonces {
  readonly #secret: string | Uint8Array;
  readonly #maxAge: number;
  readonly #clock: () => number;
  readonly #keys = new Map<number, Buffer>();

  constructor({ secret, maxAge, clock }: NonceOptions) {
    this.#secret = secret ?? randomBytes(32);
    this.#maxAge = maxAge;
    this.#clock = clock;
  }

  make(): string {
    const time = Math.floor(this.#clock());
    return Buffer.concat([encodeTime(time), this.#mac(time)]).toString('base64url');
  }

  /** The age of a nonce in seconds; `undefined` if it was not made with this secret or is too old. */
  ageOf(nonce: string): number | undefined {
    const bytes = Buffer.from(nonce, 'base64url');
    // Only the canonical spelling is accepted.
    if (bytes.length !== BYTES || bytes.toString('base64url') !== nonce) return undefined;
    const time = bytes.readUIntBE(0, TIME_BYTES);
    const age = this.#clock() - time;
    if (age < -CLOCK_TOLERANCE || age > this.#maxAge) return undefined;
    return timingSafeEqual(bytes.subarray(TIME_BYTES), this.#mac(time)) ? age : undefined;
  }

  #mac(time: number): Buffer {
    return createHmac('sha256', this.#keyFor(time)).update(encodeTime(time)).digest().subarray(0, MAC_BYTES);
  }

  #keyFor(time: number): Buffer {
    const period = Math.floor(time / this.#maxAge);
    let key = this.#keys.get(period);
    if (key === undefined) {
      key = Buffer.from(hkdfSync('sha256', this.#secret, '', `dpop-nonce ${this.#maxAge} ${period}`, 32));
      // Accepted times fall into three periods at most; other keys are no longer needed.
      for (const old of this.#keys.keys()) if (Math.abs(old - period) > 1) this.#keys.delete(old);
      this.#keys.set(period, key);
    }
    return key;
  }
}

function encodeTime(time: number): Buffer {
  const bytes = Buffer.alloc(TIME_BYTES);
  bytes.writeUIntBE(time, 0, TIME_BYTES);
  return bytes;
}
