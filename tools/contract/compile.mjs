// Renames fields in a copy of the contract, makes the client of that, and expects that
// an app that uses the fields no longer compiles. With --kotlin it is the Kotlin client
// (needs Java and Maven), else the TypeScript one.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './server.mjs'

/** What an app reads of an answer and what it sends: each is renamed, and each has to fail. */
const fields = [
  { schema: 'Area', field: 'is_verified', kotlin: 'isVerified' },
  { schema: 'AreaCreate', field: 'parent_area_id', kotlin: 'parentAreaId' },
]

const typescript = {
  parts: ['scripts', 'src', 'package.json', 'tsconfig.json'],
  folder: 'clients/typescript',
  prepare(folder) {
    symlinkSync(join(root, 'clients/typescript/node_modules'), join(folder, 'node_modules'))
    writeFileSync(
      join(folder, 'src/app.ts'),
      `import { createPicaspotClient } from './index.js'
const client = createPicaspotClient({ baseUrl: 'http://localhost:8080' })
const { data } = await client.POST('/api/v1/areas', { body: { name: 'Quays', parent_area_id: null } })
export const verified: boolean = data.is_verified
`,
    )
  },
  generate: ['node', 'scripts/generate.mjs'],
  compile: ['node_modules/.bin/tsc', '--noEmit', '-p', '.'],
}

const kotlin = {
  parts: ['generate.sh', 'openapi-generator.yaml', 'pom.xml', 'templates', 'src/main', 'src/generated'],
  folder: 'clients/kotlin',
  prepare(folder) {
    const generator = join(root, 'clients/kotlin/target')
    if (existsSync(generator)) {
      cpSync(generator, join(folder, 'target'), { recursive: true, filter: (path) => path === generator || path.endsWith('.jar') })
    }
    writeFileSync(
      join(folder, 'src/main/kotlin/App.kt'),
      `package app

import io.picaspot.client.PicaspotClient
import io.picaspot.client.Present
import io.picaspot.client.model.AreaCreate

public suspend fun verified(client: PicaspotClient): Boolean =
    client.areas.createArea(areaCreate = AreaCreate(name = "Quays", parentAreaId = Present(null))).data.isVerified
`,
    )
  },
  generate: ['./generate.sh'],
  compile: ['mvn', '-q', '-B', 'compile'],
}

/** The contract with a field of a schema renamed. */
function renamed(contract, { schema, field }) {
  const [, before, block, after] = contract.match(new RegExp(`^([^]*\\n    ${schema}:\\n)([^]*?)(\\n    \\w+:\\n[^]*)$`)) ?? []
  if (!block?.includes(`        ${field}:`)) throw new Error(`${schema} has no ${field}`)
  return before + block.replaceAll(new RegExp(`\\b${field}\\b`, 'g'), `${field}_renamed`) + after
}

const isKotlin = process.argv.includes('--kotlin')
const client = isKotlin ? kotlin : typescript
const copy = mkdtempSync(join(root, 'tools/contract/.samples-'))
// Who interrupts it does so to Maven too, which fails then: the copy goes all the same.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1))
try {
  const folder = join(copy, client.folder)
  for (const part of client.parts) cpSync(join(root, client.folder, part), join(folder, part), { recursive: true })
  mkdirSync(join(copy, 'docs'))
  cpSync(join(root, 'docs/problems.md'), join(copy, 'docs/problems.md'))
  client.prepare(folder)
  const before = complaint(folder, client.compile)
  if (before) throw new Error(`The app does not compile with the contract as it is:\n${before}`)
  const contract = readFileSync(join(root, 'openapi.yaml'), 'utf8')
  writeFileSync(join(copy, 'openapi.yaml'), fields.reduce(renamed, contract))
  const failed = complaint(folder, client.generate)
  if (failed) throw new Error(`The client can't be made:\n${failed}`)
  const said = complaint(folder, client.compile) ?? ''
  for (const { schema, field, kotlin } of fields) {
    const name = isKotlin ? kotlin : field
    if (!new RegExp(`\\b${name}\\b`).test(said)) throw new Error(`${schema} has no ${field} any more, and what the compiler says of it is:\n${said}`)
  }
  console.log(`A renamed field breaks the compilation of ${isKotlin ? 'Kotlin' : 'TypeScript'}.`)
} finally {
  rmSync(copy, { recursive: true, force: true })
}

/** What a command says when it fails. */
function complaint(cwd, [command, ...args]) {
  try {
    execFileSync(command, args, { cwd, stdio: 'pipe' })
  } catch (error) {
    return `${error.message}\n${error.stdout}${error.stderr}`
  }
}
