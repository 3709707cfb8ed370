// Both pages are dark where the reader's system is.
const dark = matchMedia('(prefers-color-scheme: dark)')

function follow() {
  document.documentElement.classList.toggle('dark-mode', dark.matches)
  document.documentElement.dataset.theme = dark.matches ? 'dark' : 'light'
}

dark.addEventListener('change', follow)
follow()
