// Logs in with the variables identifier and password before a request that needs a token,
// and again when the token is about to expire or the variables have changed. Without
// an identifier nothing is done: accessToken can be filled in by hand.
const variables = pm.collectionVariables
const value = (name) => pm.variables.get(name)
const account = `${value('identifier')} at ${value('baseUrl')}`
const lasts = variables.get('accessTokenOf') === account && Number(variables.get('accessTokenExpires')) > Date.now() + 10000
const isPublic = pm.request.auth && pm.request.auth.type === 'noauth'

if (value('identifier') && !lasts && !isPublic) {
  const login = {
    url: `${value('baseUrl')}/api/v1/auth/login`,
    method: 'POST',
    header: { 'Content-Type': 'application/json' },
    body: { mode: 'raw', raw: JSON.stringify({ identifier: value('identifier'), password: value('password') }) },
  }
  pm.sendRequest(login, (error, response) => {
    if (error || response.code !== 200) {
      variables.unset('accessToken')
      variables.unset('accessTokenExpires')
      throw new Error(`Login failed: ${error || response.text()}`)
    }
    const { access_token: token, expires_in: seconds } = response.json()
    variables.set('accessToken', token)
    variables.set('accessTokenExpires', String(Date.now() + seconds * 1000))
    variables.set('accessTokenOf', account)
  })
}
