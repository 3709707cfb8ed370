import { abortReason } from './abort.js'
import type { Body } from './body.js'

/** How much of a body was sent. */
export interface Progress {
  /** Bytes that were sent. */
  loaded: number
  /** Bytes of the whole body. */
  total: number
}

/** A request, ready to be sent any number of times. */
export interface Outgoing {
  url: string
  method: string
  headers: Headers
  body: Body
  signal: AbortSignal | undefined
  credentials: RequestCredentials | undefined
}

/** The part of fetch that is used. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

export type Transport = (request: Outgoing) => Promise<Response>

/**
 * How to send a request. fetch tells nothing about the progress of an upload, so
 * that is the business of XMLHttpRequest, where there is one (browsers, React
 * Native), or of a body that is streamed (Node). A fetch that the app brought is
 * never passed by. Where none of that is possible, nobody is told anything.
 */
export function transportFor(
  custom: Fetch | undefined,
  onProgress: ((progress: Progress) => void) | undefined,
): Transport {
  // Looked up late, for those who replace it after this module was loaded.
  const fetch: Fetch = custom ?? ((url, init) => globalThis.fetch(url, init))
  const plain: Transport = ({ url, ...init }) => fetch(url, requestInit(init))
  if (!onProgress) return plain
  if (typeof XMLHttpRequest !== 'undefined') return custom ? plain : (request) => sendByXHR(request, onProgress)
  return canStream() ? (request) => sendStreamed(request, fetch, onProgress) : plain
}

function requestInit({ signal, credentials, body, ...rest }: Omit<Outgoing, 'url'>): RequestInit {
  return { ...rest, body: body ?? null, ...(signal && { signal }), ...(credentials && { credentials }) }
}

/**
 * Whether fetch takes streams as bodies. Browsers that do demand HTTP/2 for it;
 * a service worker is one without an XMLHttpRequest.
 */
function canStream(): boolean {
  if (typeof ReadableStream === 'undefined' || typeof TransformStream === 'undefined') return false
  if ('ServiceWorkerGlobalScope' in globalThis) return false
  let asked = false
  const probe: RequestInit & { duplex: 'half' } = {
    method: 'POST',
    body: new ReadableStream(),
    get duplex() {
      asked = true
      return 'half' as const
    },
  }
  // Where streams are not known, the body becomes a text and gets its content type.
  const typed = new Request('http://localhost', probe).headers.has('Content-Type')
  return asked && !typed
}

async function sendStreamed(
  { url, ...rest }: Outgoing,
  fetch: Fetch,
  onProgress: (progress: Progress) => void,
): Promise<Response> {
  const init = requestInit(rest)
  const encoded = new Response(rest.body)
  if (!encoded.body) return fetch(url, init)
  const total = await sizeOf(rest.body)
  const headers = new Headers(rest.headers)
  const contentType = encoded.headers.get('Content-Type')
  if (contentType && !headers.has('Content-Type')) headers.set('Content-Type', contentType)
  let loaded = 0
  const counted = encoded.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        controller.enqueue(chunk)
        loaded += chunk.byteLength
        onProgress({ loaded, total })
      },
    }),
  )
  const streamed: RequestInit & { duplex: 'half' } = { ...init, headers, body: counted, duplex: 'half' }
  return fetch(url, streamed)
}

/**
 * The size of a body in bytes. That of a form is the size of the same form with
 * empty files and the sizes of the files, so that none is read for it.
 */
async function sizeOf(body: Body): Promise<number> {
  if (!(body instanceof FormData)) return new Blob(body ? [body] : []).size
  const hollow = new FormData()
  let files = 0
  body.forEach((value, name) => {
    if (typeof value === 'string') {
      hollow.append(name, value)
    } else {
      files += value.size
      hollow.append(name, new Blob([], { type: value.type }), value.name)
    }
  })
  return files + (await new Response(hollow).arrayBuffer()).byteLength
}

function sendByXHR(request: Outgoing, onProgress: (progress: Progress) => void): Promise<Response> {
  const { signal } = request
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortReason(signal))
      return
    }
    const xhr = new XMLHttpRequest()
    const abort = () => xhr.abort()
    const end = (settle: () => void) => () => {
      signal?.removeEventListener('abort', abort)
      settle()
    }
    xhr.open(request.method, request.url)
    xhr.withCredentials = request.credentials === 'include'
    request.headers.forEach((value, name) => {
      xhr.setRequestHeader(name, value)
    })
    xhr.upload.onprogress = ({ loaded, total, lengthComputable }) => {
      if (lengthComputable) onProgress({ loaded, total })
    }
    xhr.onload = end(() => resolve(responseOf(xhr)))
    xhr.onerror = end(() => reject(new TypeError('Network request failed')))
    xhr.ontimeout = xhr.onerror
    xhr.onabort = end(() => reject(signal ? abortReason(signal) : new TypeError('Network request failed')))
    signal?.addEventListener('abort', abort)
    xhr.send(request.body ?? null)
  })
}

function responseOf(xhr: XMLHttpRequest): Response {
  const headers = new Headers()
  for (const line of xhr.getAllResponseHeaders().trim().split(/\r?\n/)) {
    const colon = line.indexOf(':')
    if (colon > 0) headers.append(line.slice(0, colon).trim(), line.slice(colon + 1).trim())
  }
  const empty = xhr.status === 204 || xhr.status === 205 || xhr.status === 304
  return new Response(empty ? null : xhr.responseText, { status: xhr.status, statusText: xhr.statusText, headers })
}
