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
    page.setDefaultTimeout(60_000)
    const complaints = []
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) complaints.push(`asks ${request.url()}`)
    })

    await page.goto(`${url}/docs`)
    await page.locator('.opblock-tag').first().waitFor()
    await checkPage(page, 1_000)
    assert.ok((await page.locator('button.authorize').boundingBox()).y < 300, 'Authorize is above the fold')
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

    // One click is enough: what is filled in by itself fits most files.
    const places = join(folder, 'places.csv')
    writeFileSync(places, 'id,name,latitude,longitude\n1,Quay,53.9,8.7\n')
    const imported = await execute(page, 'importLandmarks', { files: { file: places } })
    assert.equal(imported.status, 202, JSON.stringify(imported.body))
    for (let tries = 0; tries < 20 && !imported.end?.body.finished_at; tries++) {
      imported.end = await execute(page, 'getImport', { parameters: { import_id: imported.body.id } })
      if (!imported.end.body.finished_at) await pause(500)
    }
    assert.equal(imported.end.body.created, 1, JSON.stringify(imported.end.body))

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
    await page.getByRole('heading', { name: 'Authentication' }).waitFor()
    await checkPage(page, 3_000)
    await picture(page, 'reference')
    await page.getByPlaceholder('Find an operation').fill('an area')
    await page.getByPlaceholder('Find an operation').fill('createArea')
    await page.getByPlaceholder('Find an operation').press('Enter')
    await page.getByRole('heading', { name: 'Create an area' }).waitFor()
    await page.getByText('Request Sample').click()
    await page.locator('[role=menu]').getByText('TypeScript').click()
    await page.locator('pre[aria-label*="client.createArea"]').waitFor()
    await checkPage(page, 4_000)
    await picture(page, 'reference-operation')
    await narrowPages(browser, url)
    assert.deepEqual(complaints, [], 'the browser complained')
  } finally {
    await browser.close()
  }
})
console.log('Swagger UI and the reference work in a browser.')

/** What is on the page is what is looked at, and nothing is wider than the window. */
async function checkPage(page, mostElements) {
  const { elements, width, window } = await page.evaluate(() => ({
    elements: document.querySelectorAll('*').length,
    width: document.documentElement.scrollWidth,
    window: innerWidth,
  }))
  assert.ok(elements < mostElements, `${page.url()} has ${elements} elements`)
  assert.ok(width <= window, `${page.url()} is ${width} wide in a window of ${window}`)
}

/** The pages on a phone, light and dark: each as it opens, and with an operation open. */
async function narrowPages(browser, url) {
  for (const colorScheme of ['light', 'dark']) {
    const context = await browser.newContext({ viewport: { width: 390, height: 844 }, colorScheme })
    const page = await context.newPage()
    for (const [name, path, shown] of [
      ['docs', '/docs', '.opblock-tag'],
      ['docs-operation', '/docs#/unlocks/createAttempt', '.btn.execute'],
      ['reference', '/docs/reference', 'h1'],
      ['reference-operation', '/docs/reference#/operations/createAttempt', 'h1:has-text("Hand in a photo")'],
    ]) {
      await page.goto('about:blank')
      await page.goto(url + path)
      await page.locator(shown).last().waitFor()
      await checkPage(page, 4_000)
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
      assert.equal(background === 'rgb(255, 255, 255)', colorScheme === 'light', `${path} is ${background} where ${colorScheme} is wanted`)
      await picture(page, `${name}-390-${colorScheme}`)
    }
    await context.close()
  }
}

async function picture(page, name) {
  if (!process.env.SCREENSHOTS) return
  mkdirSync(process.env.SCREENSHOTS, { recursive: true })
  await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`) })
}

async function authorize(page, username, password) {
  await page.getByRole('button', { name: 'Authorize' }).first().click()
  const dialog = page.locator('.dialog-ux')
  assert.ok(await dialog.locator('#oauth_password').isVisible(), 'the form for a password comes first')
  assert.equal(await dialog.locator('input:visible').count(), 2, 'a name and a password are all that is asked for')
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
  const tag = await page.evaluate((id) => window.ui.specSelectors.operations().find((it) => it.getIn(['operation', 'operationId']) === id).getIn(['operation', 'tags', 0]), id)
  if (!(await block.isVisible())) await page.locator(`#operations-tag-${tag}`).click()
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
