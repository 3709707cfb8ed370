import type { ProblemCode } from './generated/problems.js'
import type { FieldError, Problem } from './generated/schema.js'

/**
 * The server refused a request, or failed at it. What it said is a problem
 * (RFC 9457); an answer of something in between, as of a proxy, is told by its
 * status alone.
 */
export class PicaspotError extends Error {
  override readonly name = 'PicaspotError'
  /** The HTTP status. */
  readonly status: number
  /** A stable URI reference that names the problem; about:blank where nobody named it. */
  readonly type: string
  /**
   * The last part of the type, as `already_unlocked`. The type lists the codes of the contract, so that
   * a comparison with any other does not compile. A later server may answer with one that is not in
   * the list: a `switch` needs a `default`.
   */
  readonly code: ProblemCode | undefined
  readonly title: string
  /** What is the case, for people. */
  readonly detail: string | undefined
  /** The path of the request. */
  readonly instance: string | undefined
  /** What the server's log knows the request by. */
  readonly requestId: string | undefined
  /** Every fault of the request at once; empty where it was not the request's. */
  readonly errors: readonly FieldError[]
  /** Seconds to wait before another try. */
  readonly retryAfter: number | undefined
  readonly response: Response

  constructor(response: Response, problem: Partial<Problem> = {}) {
    const title = problem.title ?? (response.statusText || `Status ${response.status}`)
    super(problem.detail ?? title)
    this.status = response.status
    this.type = problem.type ?? 'about:blank'
    this.code = (problem.type?.split('/').pop() || undefined) as ProblemCode | undefined
    this.title = title
    this.detail = problem.detail
    this.instance = problem.instance
    this.requestId = problem.request_id ?? response.headers.get('X-Request-ID') ?? undefined
    this.errors = problem.errors ?? []
    this.retryAfter = retryAfter(response)
    this.response = response
  }
}

/** No answer came: the network, the name or the server is away. `cause` is what fetch said. */
export class PicaspotNetworkError extends Error {
  override readonly name = 'PicaspotNetworkError'
  /** Whether the time for the answer was over; see `timeout`. */
  readonly timedOut: boolean

  /** `url` is the address of the request, where nothing of an answer came. */
  constructor(cause: unknown, url?: string) {
    const timedOut = (cause as Error | undefined)?.name === 'TimeoutError'
    super(timedOut ? 'The server did not answer in time.' : `The server could not be reached.${corsHint(url)}`, {
      cause,
    })
    this.timedOut = timedOut
  }
}

/**
 * What to set when the server is there and does not allow the page: browsers tell a
 * page nothing of a refused CORS preflight but that fetch failed.
 */
function corsHint(url: string | undefined): string {
  const page = (globalThis as { location?: { origin?: string; href: string } }).location
  if (!url || !page?.origin || new URL(url, page.href).origin === page.origin) return ''
  if (page.origin === 'null') {
    return ' If it is running: this page has no origin that the server could allow; serve it over HTTP.'
  }
  return ` If it is running, it may not allow pages of ${page.origin}: add ${page.origin} to its PICASPOT_CORS_ORIGINS.`
}

/** Reads the problem in a response. */
export async function errorOf(response: Response): Promise<PicaspotError> {
  let problem: unknown
  try {
    problem = JSON.parse(await response.text())
  } catch {
    // Not a problem, or it broke off: the status has to do.
  }
  const known = typeof problem === 'object' && problem !== null && 'type' in problem
  return new PicaspotError(response, known ? (problem as Problem) : {})
}

/** The seconds of Retry-After, which a proxy may give as a date. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get('Retry-After')
  if (!value) return undefined
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : undefined
}
