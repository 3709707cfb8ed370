import { PicaspotError } from './errors.js'
import type { TokenResponse } from './generated/schema.js'

/** The tokens of a session. */
export interface Tokens {
  accessToken: string
  /** When the access token expires, in milliseconds since 1970. */
  expiresAt: number
  /** Absent where it travels in a cookie. */
  refreshToken?: string
}

/** Where the tokens of a session are kept. */
export interface TokenStore {
  load(): Tokens | undefined | Promise<Tokens | undefined>
  /** Keeps tokens; undefined removes them. */
  save(tokens: Tokens | undefined): void | Promise<void>
}

/** Keeps the tokens for as long as the page or the process lives. */
export function memoryStore(): TokenStore {
  let kept: Tokens | undefined
  return {
    load: () => kept,
    save: (tokens) => {
      kept = tokens
    },
  }
}

export interface SessionConfig {
  store: TokenStore
  /** Whether the refresh token travels in a cookie. */
  cookie: boolean
  /** Is told when the session ended by itself. */
  onEnded: ((error: PicaspotError | undefined) => void) | undefined
  /** Gets new tokens for a refresh token, or for the cookie. */
  exchange: (refreshToken: string | undefined) => Promise<TokenResponse>
}

/** An access token that lasts no longer than this, in milliseconds, may be expired on arrival. */
const leeway = 10_000

/** A session: who has the tokens, and who renews them. */
export class Session {
  readonly #config: SessionConfig
  #tokens: Tokens | undefined
  #loaded: Promise<void> | undefined
  #renewal: Promise<string | undefined> | undefined
  /** Counts logins and logouts, so that a renewal that one of them overtook changes nothing. */
  #epoch = 0
  /** The access token that the store had when the session was last renewed. */
  #renewed: string | undefined
  /** Whether the cookie, which no script can see, turned out not to be there. */
  #noCookie = false

  constructor(config: SessionConfig) {
    this.#config = config
  }

  /**
   * An access token that lasts, renewed where it has to be; undefined where there
   * is no session. A session that turns out to have ended is the server's refusal.
   */
  async token(): Promise<string | undefined> {
    await this.#load()
    if (!this.#tokens) return this.#byCookie()
    return lasts(this.#tokens) ? this.#tokens.accessToken : this.renew(this.#tokens.accessToken)
  }

  /** Whether there is a session, as far as is known; of a cookie, the server has to be asked. */
  async exists(): Promise<boolean> {
    await this.#load()
    return this.#tokens !== undefined || (await this.#byCookie()) !== undefined
  }

  /**
   * Another access token than the one that was refused. However many ask for it
   * at once, the server is asked once. When it refuses, the session has ended.
   */
  renew(refused: string | undefined): Promise<string | undefined> {
    const current = this.#tokens
    if (current && current.accessToken !== refused && lasts(current)) return Promise.resolve(current.accessToken)
    this.#renewal ??= this.#renew(refused).finally(() => {
      this.#renewal = undefined
    })
    return this.#renewal
  }

  /** Starts a session with what a login answered. */
  async start(answer: TokenResponse): Promise<void> {
    this.#epoch++
    this.#noCookie = false
    await this.#keep(tokensOf(answer))
  }

  /** Forgets the session without telling anybody. */
  async forget(): Promise<void> {
    this.#epoch++
    this.#noCookie = true
    await this.#keep(undefined)
  }

  async #byCookie(): Promise<string | undefined> {
    return this.#config.cookie && !this.#noCookie ? this.renew(undefined) : undefined
  }

  async #renew(refused: string | undefined): Promise<string | undefined> {
    const epoch = this.#epoch
    const loaded = await this.#config.store.load()
    if (epoch !== this.#epoch) return this.#tokens?.accessToken
    const known = this.#tokens
    // Another tab may have renewed them, or logged out. What was renewed here already
    // was left there by a store that failed, and its refresh token is spent.
    const stored = loaded && known && loaded.accessToken === this.#renewed ? known : loaded
    this.#tokens = stored
    if (stored && stored.accessToken !== refused && lasts(stored)) return stored.accessToken
    if (!stored?.refreshToken && !this.#config.cookie) {
      await this.#end(known, undefined)
      return undefined
    }
    let answer: TokenResponse
    try {
      answer = await this.#config.exchange(stored?.refreshToken)
    } catch (error) {
      if (!isRefusal(error)) throw error
      if (epoch !== this.#epoch) return this.#tokens?.accessToken
      await this.#end(known, error)
      if (known) throw error
      return undefined
    }
    if (epoch === this.#epoch) {
      this.#renewed = loaded?.accessToken
      await this.#keep(tokensOf(answer))
    }
    return this.#tokens?.accessToken
  }

  async #end(known: Tokens | undefined, error: PicaspotError | undefined): Promise<void> {
    await this.forget()
    if (known) this.#config.onEnded?.(error)
  }

  #load(): Promise<void> {
    this.#loaded ??= this.#read().catch((error: unknown) => {
      this.#loaded = undefined
      throw error
    })
    return this.#loaded
  }

  async #read(): Promise<void> {
    const epoch = this.#epoch
    const stored = await this.#config.store.load()
    if (epoch === this.#epoch) this.#tokens = stored
  }

  async #keep(tokens: Tokens | undefined): Promise<void> {
    this.#tokens = tokens
    await this.#config.store.save(tokens)
  }
}

function lasts(tokens: Tokens): boolean {
  return tokens.expiresAt - leeway > Date.now()
}

function tokensOf(answer: TokenResponse): Tokens {
  return {
    accessToken: answer.access_token,
    expiresAt: Date.now() + answer.expires_in * 1000,
    ...(answer.refresh_token !== undefined && { refreshToken: answer.refresh_token }),
  }
}

/** Whether the server said that there is no session any more, and not just that it has no time. */
export function isRefusal(error: unknown): error is PicaspotError {
  return error instanceof PicaspotError && (error.status === 400 || error.status === 401)
}
