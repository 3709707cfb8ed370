/** One server-sent event. */
export interface ServerSentEvent {
  /** What happened, as `attempt`; `message` where the server does not say. */
  event: string
  data: string
  /** What to send as Last-Event-ID to go on after this one; empty for none. */
  id: string
}

/**
 * Takes a stream of events apart as it comes (HTML standard, section 9.2.6). What
 * follows the last empty line was cut off, and is no event.
 */
export class EventParser {
  /** How long to wait before another connection in milliseconds, as the server last said. */
  retry: number | undefined
  readonly #decoder = new TextDecoder()
  #rest = ''
  #event = ''
  #data: string[] = []
  #id = ''

  /** The events that a chunk completes. */
  push(chunk: Uint8Array): ServerSentEvent[] {
    this.#rest += this.#decoder.decode(chunk, { stream: true })
    const events: ServerSentEvent[] = []
    // A CR at the very end may be half of a CRLF.
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      if (line !== '') {
        this.#field(line)
        continue
      }
      if (this.#data.length > 0)
        events.push({ event: this.#event || 'message', data: this.#data.join('\n'), id: this.#id })
      this.#event = ''
      this.#data = []
    }
    return events
  }

  #field(line: string): void {
    const [, name, value = ''] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? []
    if (name === 'event') this.#event = value
    else if (name === 'data') this.#data.push(value)
    else if (name === 'id' && !value.includes('\0')) this.#id = value
    else if (name === 'retry' && /^\d+$/.test(value)) this.retry = Number(value)
  }
}
