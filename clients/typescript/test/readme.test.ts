import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

/** What the README's code takes for granted: the app, and the examples before it. */
const app = `
import type { PicaspotClient, ReportCreate } from '@picaspot/client'
declare global {
  interface ImportMeta { env: { DEV: boolean } }
  const client: PicaspotClient
  const baseUrl: string, identifier: string, password: string, otp: string
  const landmarkId: string, areaId: string, id: string
  const me: { id: string }, report: ReportCreate
  const here: { latitude: number; longitude: number }, latitude: number, longitude: number
  const photo: Blob, file: File, signal: AbortSignal, leaving: AbortController
  const bar: { set(part: number): void }
  function show(it: unknown): boolean
  function append(items: unknown[]): void
  function showLogin(why: string | undefined): void
  function askForCode(): void
  function newTrace(): string
  function measure(path: string, outcome: unknown, duration: number): void
}
`

const modules = `
declare module 'expo-secure-store' {
  export function getItemAsync(key: string): Promise<string | null>
  export function setItemAsync(key: string, value: string): Promise<void>
  export function deleteItemAsync(key: string): Promise<void>
}
`

test('the code in the README compiles', () => {
  const root = new URL('../../', import.meta.url)
  const folder = new URL('build/readme/', root)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const readme = readFileSync(new URL('README.md', root), 'utf8')
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code)
  assert.ok(blocks.length > 8)
  const exported = 'createPicaspotClient, uploadAttempt, watchAttempt, PicaspotError, PicaspotNetworkError'
  const further = 'paginate, paginatePages, ifMatch, getIfChanged, type TokenStore'
  blocks.forEach((code, i) => {
    const lines = code.split('\n')
    const imports = lines.filter((line) => line.startsWith('import '))
    // Code without imports goes on from the one before it.
    if (!imports.some((line) => line.includes("'@picaspot/client'") && !line.startsWith('import type')))
      imports.push(`import { ${exported}, ${further} } from '@picaspot/client'`)
    const rest = lines.filter((line) => !line.startsWith('import '))
    writeFileSync(
      new URL(`${i + 1}.ts`, folder),
      `${imports.join('\n')}\nexport async function shown() {\n${rest.join('\n')}}\n`,
    )
  })
  writeFileSync(new URL('app.d.ts', folder), app)
  writeFileSync(new URL('modules.d.ts', folder), modules)
  const config = {
    extends: '../../tsconfig.json',
    compilerOptions: {
      noEmit: true,
      rootDir: '../..',
      noUnusedLocals: false,
      module: 'ESNext',
      moduleResolution: 'bundler',
    },
    include: ['.'],
    exclude: [],
  }
  writeFileSync(new URL('tsconfig.json', folder), JSON.stringify(config))
  try {
    execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'build/readme'], {
      cwd: fileURLToPath(root),
      encoding: 'utf8',
    })
  } catch (error) {
    assert.fail(String((error as { stdout?: string }).stdout ?? error))
  }
})
