// Builds the server, starts it with a database of its own, runs the tests against
// it and stops it again. Arguments go on to node --test.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const tests = fileURLToPath(new URL('../build/test', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'picaspot-client-'))
// PostgreSQL, which does not run as root, has to pass through.
chmodSync(folder, 0o755)
const log = join(folder, 'server.log')

/** How long the server may take to start and to stop, in milliseconds. */
const patience = { start: 120_000, stop: 30_000 }

let interrupted = false
let running
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    interrupted = true
    running?.kill('SIGTERM')
  })
}

let server
try {
  await run('go', ['build', '-o', join(folder, 'picaspot'), './cmd/picaspot'], { cwd: root })
  const url = await start()
  const files = readdirSync(tests).filter((name) => name.endsWith('.test.js'))
  await run(
    process.execPath,
    ['--test', '--test-reporter=spec', ...process.argv.slice(2), ...files.map((name) => join(tests, name))],
    {
      env: { ...process.env, PICASPOT_TEST_URL: url },
    },
  )
} catch (error) {
  if (!interrupted) console.error(error.message)
  process.exitCode = 1
} finally {
  await stop()
  rmSync(folder, { recursive: true, force: true })
}

/** Runs a command to its end; failing is an error. */
async function run(command, args, options) {
  if (interrupted) throw new Error('interrupted')
  running = spawn(command, args, { stdio: 'inherit', ...options })
  const [code] = await once(running, 'exit')
  running = undefined
  if (code !== 0) throw new Error(`${command} ${args[0]} failed`)
}

/** Starts the server and waits until it is ready. */
async function start() {
  const [http, ops] = await Promise.all([freePort(), freePort()])
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('PICASPOT_'))
  const output = openSync(log, 'w')
  server = spawn(join(folder, 'picaspot'), ['dev'], {
    // A group of its own: Ctrl-C is for this script, which stops the server in its turn.
    detached: true,
    stdio: ['ignore', output, output],
    env: {
      ...Object.fromEntries(own),
      PICASPOT_DATA_DIR: join(folder, 'data'),
      PICASPOT_HTTP_ADDR: `127.0.0.1:${http}`,
      PICASPOT_OPS_ADDR: `127.0.0.1:${ops}`,
      PICASPOT_PHOTO_MAX_AGE: '0',
      // Many tests share one address; the export's limit is for the one that runs into it.
      PICASPOT_RATE_LIMITS: [
        'register:address=1000/1m',
        'login:address=1000/1m',
        'login:account=1000/1m',
        'token:address=1000/1m',
        'export:account=1/1s',
      ].join(','),
    },
  })
  const url = `http://127.0.0.1:${http}`
  for (const end = Date.now() + patience.start; Date.now() < end && !interrupted; await pause(50)) {
    if (hasEnded()) break
    const ready = await fetch(`${url}/readyz`).catch(() => undefined)
    await ready?.body?.cancel()
    if (ready?.ok) return url
  }
  throw new Error(`The server does not get ready:\n${readFileSync(log, 'utf8')}`)
}

async function stop() {
  if (server?.pid === undefined || hasEnded()) return
  const exited = once(server, 'exit')
  server.kill('SIGTERM')
  const timeout = new AbortController()
  await Promise.race([exited, pause(patience.stop, undefined, { signal: timeout.signal }).catch(() => {})])
  timeout.abort()
  if (!hasEnded()) {
    process.kill(-server.pid, 'SIGKILL')
    await exited
  }
}

function hasEnded() {
  return server.exitCode !== null || server.signalCode !== null
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.on('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}
