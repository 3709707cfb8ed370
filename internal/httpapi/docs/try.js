// Swagger UI, which shows what is asked for and folds the rest.

/** Folds the description of the API, which is long, and renders it when it is opened. */
function foldedOverview(Overview, { React }) {
  return function FoldedOverview(props) {
    const [isOpen, setOpen] = React.useState(false)
    return React.createElement(
      'details',
      { className: 'overview wrapper', onToggle: (event) => setOpen(event.currentTarget.open) },
      React.createElement('summary', null, 'Overview: errors, lists, search, limits, versions'),
      isOpen && React.createElement(Overview, props),
    )
  }
}

/**
 * Shows of an error its status and meaning, and its examples when they are asked for: they
 * are most of what there is to an operation, and what takes longest to render.
 */
function foldedErrors(Response, { React }) {
  return function FoldedError(props) {
    const { code, response } = props
    const [isOpen, setOpen] = React.useState(!/^[45]/.test(code))
    if (isOpen) return React.createElement(Response, props)
    const button = { type: 'button', className: 'examples', onClick: () => setOpen(true), 'aria-label': `Examples of ${code}` }
    return React.createElement(
      'tr',
      { className: 'response', 'data-code': code },
      React.createElement('td', { className: 'response-col_status' }, code),
      React.createElement(
        'td',
        { className: 'response-col_description', colSpan: 2 },
        `${response.get('description').replaceAll('`', '')} `,
        React.createElement('button', button, 'Examples'),
      ),
    )
  }
}

/** Folds the form for a token behind that for a name and a password: a login is what people look for. */
function foldedToken(Form, { React }) {
  return function FoldedToken(props) {
    const [isOpen, setOpen] = React.useState(false)
    const form = React.createElement(Form, props)
    if (!props.definitions.some((scheme) => scheme.get('type') === 'http')) return form
    return React.createElement(
      'details',
      { className: 'token', onToggle: (event) => setOpen(event.currentTarget.open) },
      React.createElement('summary', null, 'With an access token that you have'),
      // The form takes the focus when it is rendered.
      isOpen && form,
    )
  }
}

window.ui = SwaggerUIBundle({
  // Swagger UI fills in the example of upload_id, which stands in the place of a photo.
  requestInterceptor(request) {
    const { body } = request
    if (body instanceof FormData && body.get('photo')?.size) body.delete('upload_id')
    return request
  },
  url: '/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  docExpansion: 'none',
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  plugins: [{ wrapComponents: { InfoContainer: foldedOverview, auths: foldedToken, response: foldedErrors } }],
})
