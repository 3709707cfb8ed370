// Puts Swagger UI and Stoplight Elements, of the versions below, into internal/httpapi/docs,
// compressed as they are served. To update them, change a version and run this.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { root } from './server.mjs'

const packages = {
  'swagger-ui-dist@5.35.0': {
    'swagger-ui-bundle.js': 'swagger-ui-bundle.js.gz',
    'swagger-ui.css': 'swagger-ui.css.gz',
    'favicon-32x32.png': 'favicon-32x32.png',
    LICENSE: 'swagger-ui.LICENSE.txt',
    NOTICE: 'swagger-ui.NOTICE.txt',
  },
  '@stoplight/elements@9.0.25': {
    'web-components.min.js': 'elements.js.gz',
    'styles.min.css': 'elements.css.gz',
    LICENSE: 'elements.LICENSE.txt',
  },
}

const folder = mkdtempSync(join(tmpdir(), 'picaspot-assets-'))
try {
  for (const [name, files] of Object.entries(packages)) {
    const [{ filename }] = JSON.parse(execFileSync('npm', ['pack', '--json', '--pack-destination', folder, name], { encoding: 'utf8' }))
    execFileSync('tar', ['-xzf', join(folder, filename), '-C', folder])
    for (const [source, target] of Object.entries(files)) {
      // The maps that the last lines name are not served.
      const content = readFileSync(join(folder, 'package', source))
      const kept = target.endsWith('.gz') ? gzipSync(content.toString().replace(/\n\/[/*]# sourceMappingURL=.*$/s, '\n'), { level: 9 }) : content
      writeFileSync(join(root, 'internal/httpapi/docs', target), kept)
    }
    rmSync(join(folder, 'package'), { recursive: true })
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
