import { PicaspotError } from '../errors.js'

/** How long to leave something alone after it failed. */
export class Backoff {
  /** The last failure. */
  error: unknown
  readonly #baseDelay: number
  readonly #maxDelay: number
  #failures = 0
  #until = 0

  constructor({ baseDelay = 1000, maxDelay = 300_000 }: { baseDelay?: number; maxDelay?: number }) {
    this.#baseDelay = baseDelay
    this.#maxDelay = maxDelay
  }

  /** Half of a pause is drawn, so that clients that failed together don't come back together. */
  fail(error: unknown): void {
    this.error = error
    const delay = Math.min(this.#baseDelay * 2 ** this.#failures++, this.#maxDelay)
    const ordered = (error instanceof PicaspotError && error.retryAfter) || 0
    this.#until = Date.now() + Math.max(ordered * 1000, delay * (0.5 + Math.random() / 2))
  }

  succeed(): void {
    this.#failures = 0
    this.#until = 0
    this.error = undefined
  }

  /** Milliseconds that are left of the pause. */
  left(): number {
    return Math.max(0, this.#until - Date.now())
  }

  /**
   * Whether the pause is one that the server asked for, or that it needs. One without a network is over as
   * soon as the network may be back, one without a session as soon as the app logged in.
   */
  isOrdered(): boolean {
    return this.left() > 0 && this.error instanceof PicaspotError && this.error.status !== 401
  }
}
