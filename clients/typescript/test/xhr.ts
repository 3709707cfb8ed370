/** As much of XMLHttpRequest as an upload needs, really sending, in the manner of a browser. */
export class FakeXMLHttpRequest {
  /** Makes every request fail as without a network. */
  static offline = false

  withCredentials = false
  status = 0
  statusText = ''
  responseText = ''
  readonly upload: { onprogress?: (event: { loaded: number; total: number; lengthComputable: boolean }) => void } = {}
  onload?: () => void
  onerror?: () => void
  onabort?: () => void

  readonly #headers = new Headers()
  readonly #abort = new AbortController()
  #target = { method: '', url: '' }
  #received = new Headers()

  open(method: string, url: string) {
    this.#target = { method, url }
  }

  setRequestHeader(name: string, value: string) {
    this.#headers.append(name, value)
  }

  getAllResponseHeaders(): string {
    return [...this.#received].map(([name, value]) => `${name}: ${value}\r\n`).join('')
  }

  abort() {
    this.#abort.abort()
  }

  send(body: BodyInit | null) {
    this.#send(body).then(
      () => this.onload?.(),
      () => (this.#abort.signal.aborted ? this.onabort?.() : this.onerror?.()),
    )
  }

  async #send(body: BodyInit | null) {
    if (FakeXMLHttpRequest.offline) throw new TypeError('offline')
    const encoded = new Response(body)
    const bytes = await encoded.arrayBuffer()
    const type = encoded.headers.get('Content-Type')
    if (type && !this.#headers.has('Content-Type')) this.#headers.set('Content-Type', type)
    for (const part of [0.25, 0.5, 1]) {
      const loaded = Math.round(bytes.byteLength * part)
      this.upload.onprogress?.({ loaded, total: bytes.byteLength, lengthComputable: true })
    }
    const { method, url } = this.#target
    const answer = await fetch(url, { method, headers: this.#headers, body: bytes, signal: this.#abort.signal })
    this.status = answer.status
    this.statusText = answer.statusText
    this.#received = answer.headers
    this.responseText = await answer.text()
  }
}

/** Lets something run as if the platform had an XMLHttpRequest. */
export async function withXMLHttpRequest(run: () => Promise<void>): Promise<void> {
  const platform = globalThis as { XMLHttpRequest?: unknown }
  platform.XMLHttpRequest = FakeXMLHttpRequest
  try {
    await run()
  } finally {
    delete platform.XMLHttpRequest
    FakeXMLHttpRequest.offline = false
  }
}
