// Uses Swagger UI as a reader does, in Chromium: logs in through Authorize, creates an
// area and a landmark, uploads a photo and sees the attempt succeed; then reads the
// reference. Needs Chromium (CHROMIUM names another one); SCREENSHOTS names a folder
// for pictures of what it saw.
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import { withServer } from './server.mjs'

const executablePath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome']
  .find((path) => path && existsSync(path))
if (!executablePath) {
  console.error('Chromium is needed: apt-get install chromium, or set CHROMIUM to the path of a Chrome or Chromium.')
  process.exit(1)
}

const here = { latitude: 53.8671, longitude: 8.7206 }

await withServer(async ({ url, folder, password }) => {
  const photo = await fetch(`${url}/dev/photo?latitude=${here.latitude}&longitude=${here.longitude}`)
  const photoPath = join(folder, 'photo.jpg')
  writeFileSync(photoPath, Buffer.from(await photo.arrayBuffer()))

  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  })
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    // The reference has every operation on one page, which takes a slow machine its time.
    page.setDefaultTimeout(120_000)
    const complaints = []
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) complaints.push(`asks ${request.url()}`)
    })

    await page.goto(`${url}/docs`)
    await page.locator('.opblock').first().waitFor()
    await picture(page, 'docs')
    await authorize(page, 'admin@picaspot.example', password)

    const area = await execute(page, 'createArea', { body: { name: 'Lighthouse coast' } })
    assert.equal(area.status, 201)
    const landmark = await execute(page, 'createLandmark', {
      body: { area_id: area.body.id, name: 'North Lighthouse', ...here },
    })
    assert.equal(landmark.status, 201)
    const attempt = await execute(page, 'createAttempt', {
      parameters: { landmark_id: landmark.body.id },
      fields: { ...here, accuracy_meters: 8 },
      files: { photo: photoPath },
    })
    assert.equal(attempt.status, 202)

    // What is filled in by itself must not make this the same creation once more.
    const second = await execute(page, 'createArea', { body: { name: 'Quays' } })
    assert.equal(second.status, 201, JSON.stringify(second.body))

    let decided
    for (let tries = 0; tries < 20 && decided?.body.status !== 'succeeded'; tries++) {
      decided = await execute(page, 'getAttempt', { parameters: { attempt_id: attempt.body.id } })
      if (decided.body.status === 'pending') await pause(500)
    }
    assert.equal(decided.body.status, 'succeeded')
    await picture(page, 'attempt')
    assert.deepEqual(complaints, [], 'the browser complained')

    await page.goto(`${url}/docs/reference`)
    const createArea = page.locator('[id="tag/areas/operation/createArea"]')
    await createArea.waitFor({ state: 'attached' })
    await picture(page, 'reference')
    await createArea.scrollIntoViewIfNeeded()
    await createArea.getByRole('tab', { name: 'Kotlin' }).click()
    await createArea.getByText('client.areas.createArea').first().waitFor()
    // The search runs in a worker.
    await page.getByPlaceholder('Search...').fill('lighthouse')
    await page.locator('[data-role="search:results"]').waitFor()
    await picture(page, 'reference-operation')
    // Redoc's logo is on another server, and not asked for.
    assert.deepEqual(complaints.filter((said) => !said.includes('cdn.redoc.ly')), [], 'the browser complained')
  } finally {
    await browser.close()
  }
})
console.log('Swagger UI and the reference work in a browser.')

async function picture(page, name) {
  if (!process.env.SCREENSHOTS) return
  mkdirSync(process.env.SCREENSHOTS, { recursive: true })
  await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) })
}

async function authorize(page, username, password) {
  await page.getByRole('button', { name: 'Authorize' }).first().click()
  const dialog = page.locator('.dialog-ux')
  await dialog.locator('#oauth_username').fill(username)
  await dialog.locator('#oauth_password').fill(password)
  await picture(page, 'authorize')
  await dialog.locator('button.authorize', { hasText: 'Authorize' }).last().click()
  await dialog.locator('button', { hasText: 'Logout' }).first().waitFor()
  await picture(page, 'authorized')
  await dialog.locator('button.btn-done').first().click()
}

/** Opens an operation, fills it in, executes it and reads the answer that is shown. */
async function execute(page, id, { parameters = {}, body, fields = {}, files = {} }) {
  const block = page.locator(`.opblock[id$="-${id}"]`)
  if (!(await block.locator('.opblock-body').isVisible())) await block.locator('.opblock-summary-control').click()
  await block.locator('.btn.execute').waitFor()
  for (const [name, value] of Object.entries(parameters)) {
    await block.locator(`tr[data-param-name="${name}"] input`).fill(String(value))
  }
  if (body) await block.locator('textarea.body-param__text').fill(JSON.stringify(body))
  for (const [name, value] of Object.entries(fields)) {
    await block.locator(`tr[data-property-name="${name}"] input[type=text], tr[data-property-name="${name}"] textarea`).first().fill(String(value))
  }
  for (const [name, path] of Object.entries(files)) {
    await block.locator(`tr[data-property-name="${name}"] input[type=file]`).setInputFiles(path)
  }
  const answered = page.waitForResponse((response) => response.request().method() !== 'OPTIONS' && response.url().includes('/api/v1/'))
  await block.locator('.btn.execute').click()
  const response = await answered
  await block.locator('.live-responses-table tbody .response-col_status').waitFor()
  if (['createAttempt', 'createLandmark'].includes(id)) await picture(page, id)
  return { status: response.status(), body: await response.json() }
}
