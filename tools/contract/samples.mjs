// Compiles every TypeScript sample of the served contract against the client, and
// with --kotlin every Kotlin one (needs Java and Maven).
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const contract = JSON.parse(
  execFileSync('go', ['run', './internal/apidoc/cmd/apidoc'], { cwd: root, maxBuffer: 64 << 20 }).toString(),
)
const operations = Object.values(contract.paths)
  .flatMap((item) => Object.values(item))
  .filter((operation) => operation['x-codeSamples'])

/** The samples of a language, each made into a declaration of its own. */
function samples(language, wrap) {
  return operations
    .map(({ operationId, 'x-codeSamples': all }) => wrap(operationId, all.find(({ lang }) => lang === language).source))
    .join('\n')
}

function indented(source, by) {
  return source.trimEnd().replaceAll(/^/gm, by)
}

function typescript() {
  const folder = mkdtempSync(join(root, 'tools/contract/.samples-'))
  try {
    writeFileSync(
      join(folder, 'samples.ts'),
      `import type { PicaspotClient } from '../../../clients/typescript/src/index.js'
declare const client: PicaspotClient
declare const photo: Blob
declare const policy: string
${samples('TypeScript', (id, source) => `export async function ${id}() {\n${indented(source, '  ')}\n}`)}
`,
    )
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          target: 'es2022',
          module: 'nodenext',
          lib: ['es2023', 'dom', 'dom.iterable'],
          strict: true,
          noEmit: true,
          skipLibCheck: true,
          types: [],
        },
        files: ['samples.ts'],
      }),
    )
    run(join(root, 'tools/contract/node_modules/.bin/tsc'), ['-p', folder], root)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function kotlin() {
  const folder = mkdtempSync(join(root, 'tools/contract/.samples-'))
  try {
    for (const part of ['pom.xml', 'src/main', 'src/generated']) {
      cpSync(join(root, 'clients/kotlin', part), join(folder, part), { recursive: true })
    }
    const samplesFolder = join(folder, 'src/main/kotlin/samples')
    mkdirSync(samplesFolder)
    writeFileSync(
      join(samplesFolder, 'Samples.kt'),
      `package samples

import io.picaspot.client.PicaspotClient
import io.picaspot.client.Present
import io.picaspot.client.api.*
import io.picaspot.client.model.*
import java.time.OffsetDateTime
import java.util.UUID

public class Samples(private val client: PicaspotClient, private val photo: okhttp3.RequestBody, private val policy: String) {
${samples('Kotlin', (id, source) => `    public suspend fun ${id}() {\n${indented(source, '        ')}\n    }`)}
}
`,
    )
    run('mvn', ['-q', '-B', 'compile'], folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(command, args, cwd) {
  try {
    execFileSync(command, args, { cwd, stdio: 'inherit' })
  } catch {
    process.exitCode = 1
  }
}

process.on('exit', (code) => {
  if (code === 0) console.log(`The samples of ${operations.length} operations compile.`)
})
if (process.argv.includes('--kotlin')) kotlin()
else typescript()
