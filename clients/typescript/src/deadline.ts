/** A signal that aborts with another one, and after a time. */
export class Deadline {
  readonly signal: AbortSignal
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal | null | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(outer: AbortSignal | null | undefined) {
    this.#outer = outer
    this.signal = this.#controller.signal
    if (outer?.aborted) this.#abort()
    outer?.addEventListener('abort', this.#abort, { once: true })
  }

  /** Allows that many milliseconds from now, or any time. */
  allow(milliseconds: number | false): void {
    clearTimeout(this.#timer)
    if (milliseconds === false) return
    this.#timer = setTimeout(() => {
      const reason = new Error(`It took longer than ${milliseconds} ms.`)
      reason.name = 'TimeoutError'
      this.#controller.abort(reason)
    }, milliseconds)
  }

  /** Lets go of the time and of the other signal. */
  end(): void {
    clearTimeout(this.#timer)
    this.#outer?.removeEventListener('abort', this.#abort)
  }

  readonly #abort = () => this.#controller.abort(this.#outer?.reason)
}
