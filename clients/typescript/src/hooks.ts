/** A request that is about to be sent. */
export interface HookRequest {
  readonly method: string
  readonly url: string
  /** The path of the contract, as `/api/v1/landmarks/{landmark_id}`. */
  readonly path: string
  /** What `onRequest` may add to. They have the access token: they have no place in a log. */
  readonly headers: Headers
  /** Which try it is, from 1; it is sent again after a failure and after a renewal of the token. */
  readonly attempt: number
}

/** What became of a request: an answer of any status, or the error that came instead of one. */
export interface HookResult {
  readonly request: HookRequest
  /** Its body is still to be read: a hook reads that of `response.clone()`. */
  readonly response?: Response
  readonly error?: unknown
  /** Milliseconds until the answer began. */
  readonly duration: number
}

/** What the app does around each request, which waits for it. A hook that throws makes the call fail with what it threw. */
export interface Hooks {
  /** Is called before each try. */
  onRequest?: ((request: HookRequest) => unknown) | undefined
  /** Is called after each try, also after one that failed. */
  onResponse?: ((result: HookResult) => unknown) | undefined
}

/** Tells of each request in one line, with the path of the contract: no token, no body, no position. */
export function describe({ request, response, error, duration }: HookResult): string {
  const { method, path, attempt } = request
  const requestId = response?.headers.get('X-Request-ID')
  const notes = [attempt > 1 && `try ${attempt}`, requestId && `request ${requestId}`].filter(Boolean).join(', ')
  const outcome = response ? response.status : `no answer (${error instanceof Error ? error.name : 'unknown'})`
  return `picaspot: ${method} ${path} ${outcome} in ${Math.round(duration)} ms${notes && ` (${notes})`}`
}
