// Runs every ```bash block of the guides, in order, as one script for each guide, on a
// server of its own. Needs bash, curl and jq.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root, withServer } from './server.mjs'

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
  for (const guide of readdirSync(folderOfGuides).filter((name) => name.endsWith('.md'))) {
    const blocks = [...readFileSync(join(folderOfGuides, guide), 'utf8').matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block)
    const cwd = join(folder, guide)
    mkdirSync(cwd)
    try {
      execFileSync('bash', ['-euo', 'pipefail', '-c', blocks.join('\n').replaceAll('http://localhost:8080', url)], { cwd, stdio: 'pipe' })
    } catch (error) {
      console.error(`${guide} failed:\n${error.stdout}\n${error.stderr}`)
      process.exitCode = 1
      continue
    }
    console.log(`${guide}: ${blocks.length} blocks work.`)
  }
})
