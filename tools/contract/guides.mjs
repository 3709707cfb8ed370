// Runs every ```bash block of the guides, in order, as one script for each guide: that of
// operators on a PostgreSQL and a Redis of its own, the others on a server of their own.
// Needs bash, curl and jq, and for operators psql, pg_dump and redis-server. An argument
// is part of the name of the only guide to run.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, root, withServer } from './server.mjs'

/** How long a guide may take, in milliseconds. */
const patience = 300_000

const folderOfGuides = join(root, 'docs/guides')
for (const command of ['curl', 'jq']) {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' })
  } catch {
    console.error(`${command} is needed: apt-get install ${command}`)
    process.exit(1)
  }
}

await withServer(async ({ url, folder }) => {
  for (const guide of readdirSync(folderOfGuides).filter((name) => name.endsWith('.md') && name.includes(process.argv[2] ?? ''))) {
    const blocks = [...readFileSync(join(folderOfGuides, guide), 'utf8').matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block)
    const cwd = join(folder, guide)
    mkdirSync(cwd)
    const script = blocks.join('\n')
    try {
      if (guide === 'operator.md') await operate(script, cwd, folder)
      else execFileSync('bash', ['-euo', 'pipefail', '-c', script.replaceAll('http://localhost:8080', url)], { cwd, stdio: 'pipe', timeout: patience })
    } catch (error) {
      console.error(`${guide} failed:\n${error.stdout}\n${error.stderr}`)
      process.exitCode = 1
      continue
    }
    console.log(`${guide}: ${blocks.length} blocks work.`)
  }
})

/** Runs what operators do, with the addresses of a PostgreSQL and a Redis for tests. */
async function operate(script, cwd, binaries) {
  const [http, ops] = await Promise.all([freePort(), freePort()])
  const here = script
    .replaceAll(/(localhost|127\.0\.0\.1):8080/g, `$1:${http}`)
    .replaceAll(':9090', `:${ops}`)
    .replace('postgres://postgres:secret@localhost:5432', '${PICASPOT_TEST_DATABASE_URL%/postgres*}')
    .replace('redis://localhost:6379/0', '$PICASPOT_TEST_REDIS_URL')
  const command = `cd '${cwd}'\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n${here}`
  execFileSync('go', ['run', './internal/testenv/cmd/testenv', '--', 'bash', '-euo', 'pipefail', '-c', command], {
    cwd: root,
    stdio: 'pipe',
    timeout: patience,
    env: { ...process.env, PATH: `${binaries}:${process.env.PATH}` },
  })
}
