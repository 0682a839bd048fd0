import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

export interface NonceOptions {
  /** Shared by all processes that check each other's nonces. */
  readonly secret: string | Uint8Array | undefined;
  /** How long a nonce is accepted. Seconds. */
  readonly maxAge: number;
  /** Seconds since the epoch. */
  readonly clock: () => number;
}

const TIME_BYTES = 6;
const MAC_BYTES = 16;
const BYTES = TIME_BYTES + MAC_BYTES;
/** How far the clocks of a fleet may differ. Seconds. */
const CLOCK_TOLERANCE = 5;

/**
 * Nonces for DPoP proofs (RFC 9449 §9) that nobody has to remember: the time at which one was made, and a MAC over it.
 * The key of the MAC changes with every `maxAge`; it is derived from the secret, so that processes that share the secret
 * agree on it.
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

  /** How old a nonce is that was made with this secret and is not too old. Seconds; `undefined` for any other. */
  ageOf(nonce: string): number | undefined {
    const bytes = Buffer.from(nonce, 'base64url');
    // One spelling only: what is checked is what was made.
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
      // Those of the past are over; times that are accepted fall into three periods at most.
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
