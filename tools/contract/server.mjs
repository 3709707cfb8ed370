import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** The repository's folder. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** How long the server may take to start and to stop, in milliseconds. */
const patience = { start: 120_000, stop: 30_000 }

/**
 * Builds the server, starts `picaspot dev` on a database of its own in a folder that
 * goes away afterwards, calls use, and stops it. Settings are further variables.
 */
export async function withServer(use, settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'picaspot-contract-'))
  // PostgreSQL, which does not run as root, has to pass through.
  chmodSync(folder, 0o755)
  const binary = join(folder, 'picaspot')
  const log = join(folder, 'server.log')
  let server
  try {
    execFileSync('go', ['build', '-o', binary, './cmd/picaspot'], { cwd: root, stdio: 'inherit' })
    const [http, ops] = await Promise.all([freePort(), freePort()])
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith('PICASPOT_'))
    const output = openSync(log, 'w')
    const env = {
      ...Object.fromEntries(own),
      PICASPOT_DATA_DIR: join(folder, 'data'),
      PICASPOT_HTTP_ADDR: `127.0.0.1:${http}`,
      PICASPOT_OPS_ADDR: `127.0.0.1:${ops}`,
      PICASPOT_PUBLIC_URL: `http://127.0.0.1:${http}`,
      ...settings,
    }
    server = spawn(binary, ['dev'], { detached: true, stdio: ['ignore', output, output], env })
    const url = env.PICASPOT_PUBLIC_URL
    await ready(url, server, log)
    await use({ url, folder, binary, password: 'picaspot-on-a-laptop' })
  } finally {
    if (server) await stop(server)
    rmSync(folder, { recursive: true, force: true })
  }
}

async function ready(url, server, log) {
  for (const end = Date.now() + patience.start; Date.now() < end && !hasEnded(server); await pause(50)) {
    const answer = await fetch(`${url}/readyz`).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer?.ok) return
  }
  throw new Error(`The server does not get ready:\n${readFileSync(log, 'utf8')}`)
}

async function stop(server) {
  if (hasEnded(server)) return
  const exited = once(server, 'exit')
  server.kill('SIGTERM')
  const timeout = new AbortController()
  await Promise.race([exited, pause(patience.stop, undefined, { signal: timeout.signal }).catch(() => {})])
  timeout.abort()
  if (!hasEnded(server)) {
    process.kill(-server.pid, 'SIGKILL')
    await exited
  }
}

function hasEnded(server) {
  return server.exitCode !== null || server.signalCode !== null
}

/** A port of this machine that nobody listens on. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.on('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}
