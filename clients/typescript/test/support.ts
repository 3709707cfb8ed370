import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type ClientConfig,
  createPicaspotClient,
  type Fetch,
  type PicaspotClient,
  PicaspotError,
} from '@picaspot/client'

/** The server that the tests are run against. */
export const baseUrl =
  process.env.PICASPOT_TEST_URL ?? assert.fail('Run the tests with npm test, which starts a server.')

export const password = 'seven maples by the quay'

/** A request that went out, as fetch got it. */
export interface Sent {
  method: string
  path: string
  headers: Headers
}

/** A fetch that keeps what went through it, and a place to break in. */
export function recorder(next: Fetch = fetch): { fetch: Fetch; sent: Sent[]; of(path: string): Sent[] } {
  const sent: Sent[] = []
  return {
    sent,
    of: (path) => sent.filter((request) => request.path === path),
    fetch: (url, init) => {
      sent.push({ method: init.method ?? 'GET', path: new URL(url).pathname, headers: new Headers(init.headers) })
      return next(url, init)
    },
  }
}

/** A fetch that fails the first `times` times as a network does. With `delivered` the request arrives and its answer is lost. */
export function flaky(path: string, times: number, { delivered = false } = {}): Fetch {
  let left = times
  return async (url, init) => {
    if (!url.includes(path) || left-- <= 0) return fetch(url, init)
    if (delivered) await (await fetch(url, init)).arrayBuffer()
    throw new TypeError('fetch failed')
  }
}

/** A name that no other test has. */
export function unique(prefix: string): string {
  return `${prefix}-${randomUUID().slice(0, 8)}`
}

/** A point that is far from those of the other tests. */
export function somewhere(): { latitude: number; longitude: number } {
  const degrees = (range: number) => Math.round((Math.random() - 0.5) * range * 1e6) / 1e6
  return { latitude: degrees(140), longitude: degrees(340) }
}

/** A client that is logged in as an account that came with the server. */
export async function as(
  role: 'user' | 'moderator' | 'admin',
  config: Partial<ClientConfig> = {},
): Promise<PicaspotClient> {
  const client = createPicaspotClient({ baseUrl, ...config })
  await client.login({ identifier: `${role}@picaspot.example`, password: 'picaspot-on-a-laptop' })
  return client
}

export interface Account {
  username: string
  email: string
}

/** Registers an account and proves its address with the link of the mail. */
export async function register(client: PicaspotClient): Promise<Account> {
  const username = unique('ada')
  const email = `${username}@example.org`
  await client.POST('/api/v1/auth/register', { body: { username, email, password } })
  const token = await eventually(() => mailedToken(email), 'the mail does not arrive')
  await client.POST('/api/v1/auth/verify-email', { body: { token } })
  return { username, email }
}

/** A client that is logged in as a new account. */
export async function asNewUser(config: Partial<ClientConfig> = {}): Promise<PicaspotClient & { account: Account }> {
  const client = createPicaspotClient({ baseUrl, ...config })
  const account = await register(client)
  await client.login({ identifier: account.username, password })
  return { ...client, account }
}

/** The token in the link of the mail to an address, from the local mailbox. */
async function mailedToken(email: string): Promise<string | undefined> {
  const answer = await fetch(`${baseUrl}/dev/mail?to=${encodeURIComponent(email)}`, {
    headers: { Accept: 'application/json' },
  })
  const { items } = (await answer.json()) as { items: { links: string[] }[] }
  const link = items.flatMap(({ links }) => links).find((url) => url.includes('verify-email'))
  return link && (new URL(link).searchParams.get('token') ?? undefined)
}

/** A photo with a position and the present time in its EXIF, as a phone takes it. */
export async function photoAt({ latitude, longitude }: { latitude: number; longitude: number }): Promise<Blob> {
  const answer = await fetch(`${baseUrl}/dev/photo?latitude=${latitude}&longitude=${longitude}`)
  assert.equal(answer.status, 200)
  return answer.blob()
}

/** A landmark in an area of its own. */
export async function landmarkAt(client: PicaspotClient, at: { latitude: number; longitude: number }): Promise<string> {
  const { data: area } = await client.POST('/api/v1/areas', { body: { name: unique('Area') } })
  const body = { area_id: area.id, name: unique('Landmark'), ...at }
  return (await client.POST('/api/v1/landmarks', { body })).data.id
}

/** What a call was refused with. */
export async function refusal(call: Promise<unknown>): Promise<PicaspotError> {
  const error = await call.then(
    () => assert.fail('It was not refused.'),
    (reason: unknown) => reason,
  )
  if (error instanceof PicaspotError) return error
  throw error
}

async function eventually<T>(ask: () => Promise<T | undefined>, failure: string): Promise<T> {
  for (const end = Date.now() + 30_000; Date.now() < end; await pause(30)) {
    const answer = await ask()
    if (answer !== undefined) return answer
  }
  return assert.fail(failure)
}
