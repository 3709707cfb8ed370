// What must not compile, and what the types are. Nothing of this is run; tsc is the test.
import {
  type Area,
  type Attempt,
  createPicaspotClient,
  getIfChanged,
  ifMatch,
  type Landmark,
  type LandmarkCreate,
  type Me,
  type NearbyLandmark,
  PicaspotError,
  paginate,
  uploadAttempt,
} from '@picaspot/client'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

/** Compiles only where a value is of exactly this type. */
function is<T>() {
  return <V>(_value: V, ..._same: Same<V, T> extends true ? [] : [never]) => {}
}

const client = createPicaspotClient({ baseUrl: 'https://api.picaspot.example' })
const path = { landmark_id: '1' }
const photo = new Blob()

export async function paths() {
  // @ts-expect-error There is no such path.
  await client.GET('/api/v1/landmark')
  // @ts-expect-error The path has no such method.
  await client.POST('/api/v1/me')
  // @ts-expect-error A parameter of the path is missing.
  await client.GET('/api/v1/landmarks/{landmark_id}')
  // @ts-expect-error A parameter of the path is misspelt.
  await client.GET('/api/v1/landmarks/{landmark_id}', { params: { path: { landmarkId: '1' } } })
}

export async function parameters() {
  await client.GET('/api/v1/landmarks')
  await client.GET('/api/v1/landmarks', { params: { query: { size: 50, sort_by: 'name' } } })
  // @ts-expect-error There is no such parameter.
  await client.GET('/api/v1/landmarks', { params: { query: { colour: 'red' } } })
  // @ts-expect-error There is no such sort.
  await client.GET('/api/v1/landmarks', { params: { query: { sort_by: 'colour' } } })
  // @ts-expect-error A required parameter is missing.
  await client.GET('/api/v1/landmarks/nearby', { params: { query: { latitude: 1, longitude: 2 } } })
  // @ts-expect-error It takes no parameters.
  await client.GET('/api/v1/me/export', { params: { query: { size: 1 } } })
  // @ts-expect-error It takes no If-Match.
  await client.GET('/api/v1/landmarks/{landmark_id}', { params: { path, header: ifMatch('"1"') } })
  // @ts-expect-error It demands an If-Match.
  await client.PUT('/api/v1/admin/policy', { body: 'p, user, area, read, any, allow' })
  // @ts-expect-error There is no such option.
  await client.GET('/api/v1/me', { deadline: 1 })
}

export async function bodies() {
  const landmark: LandmarkCreate = { area_id: '1', name: 'Pier', latitude: 1, longitude: 2 }
  await client.POST('/api/v1/landmarks', { body: landmark })
  // @ts-expect-error A body is needed.
  await client.POST('/api/v1/landmarks')
  // @ts-expect-error A required field is missing.
  await client.POST('/api/v1/landmarks', { body: { area_id: '1', name: 'Pier', latitude: 1 } })
  // @ts-expect-error There is no such field.
  await client.POST('/api/v1/landmarks', { body: { ...landmark, colour: 'red' } })
  // @ts-expect-error A field has another type.
  await client.POST('/api/v1/landmarks', { body: { ...landmark, difficulty: 'hard' } })
  // @ts-expect-error It takes no body.
  await client.POST('/api/v1/landmarks/{landmark_id}/verification', { params: { path }, body: {} })
  await client.PATCH('/api/v1/landmarks/{landmark_id}', { params: { path }, body: { photo_location: null } })
  // @ts-expect-error What is not nullable can't be cleared.
  await client.PATCH('/api/v1/landmarks/{landmark_id}', { params: { path }, body: { name: null } })
  await client.PUT('/api/v1/me/avatar', { body: photo })
  // @ts-expect-error An image is a file.
  await client.PUT('/api/v1/me/avatar', { body: 'image.jpg' })
  // @ts-expect-error Nothing is uploaded.
  await client.GET('/api/v1/me', { onProgress: () => {} })
}

export async function answers() {
  is<Me>()((await client.GET('/api/v1/me')).data)
  is<Landmark>()((await client.POST('/api/v1/landmarks', { body: {} as LandmarkCreate })).data)
  is<Attempt>()(await uploadAttempt(client, '1', { photo, latitude: 1, longitude: 2 }))
  is<undefined>()((await client.DELETE('/api/v1/landmarks/{landmark_id}', { params: { path } })).data)
  is<Blob>()((await client.GET('/api/v1/landmarks/{landmark_id}/image', { params: { path } })).data)
  is<string>()((await client.GET('/api/v1/admin/policy')).data)
  const { data } = await client.GET('/api/v1/landmarks')
  is<Landmark[]>()(data.items)
  // @ts-expect-error There is no such field.
  data.items[0]?.colour
}

export async function conditions() {
  const answer = await getIfChanged(client, '/api/v1/landmarks/{landmark_id}', { params: { path }, etag: '"1"' })
  // @ts-expect-error Whether there is anything has to be asked first.
  answer.data
  if (answer.changed) is<Landmark>()(answer.data)
  // @ts-expect-error Lists have no ETag.
  await getIfChanged(client, '/api/v1/landmarks', { etag: '"1"' })
  // @ts-expect-error A plain GET has no way to say that nothing changed.
  await client.GET('/api/v1/me', { params: { header: { 'If-None-Match': '"1"' } } })
}

export async function lists() {
  for await (const landmark of paginate(client, '/api/v1/landmarks', { query: { difficulty: 3 } })) {
    is<Landmark>()(landmark)
  }
  const query = { latitude: 1, longitude: 2, radius_meters: 500 }
  for await (const landmark of paginate(client, '/api/v1/landmarks/nearby', { query })) is<NearbyLandmark>()(landmark)
  for await (const area of paginate(client, '/api/v1/areas')) is<Area>()(area)
  // @ts-expect-error It is no list.
  paginate(client, '/api/v1/me')
  // @ts-expect-error There is no such parameter.
  paginate(client, '/api/v1/areas', { query: { colour: 'red' } })
  // @ts-expect-error The pages are walked through by cursor.
  paginate(client, '/api/v1/areas', { query: { page: 2 } })
  // @ts-expect-error Required parameters are missing.
  paginate(client, '/api/v1/landmarks/nearby')
  // @ts-expect-error A parameter of the path is missing.
  paginate(client, '/api/v1/areas/{area_id}/landmarks')
}

export async function names() {
  const landmark: LandmarkCreate = { area_id: '1', name: 'Pier', latitude: 1, longitude: 2 }
  is<Landmark>()((await client.createLandmark({ body: landmark })).data)
  is<Me>()((await client.getMe()).data)
  is<Blob>()((await client.getLandmarkImage({ path })).data)
  await client.listLandmarks({ query: { size: 50 }, retry: false })
  await client.updateLandmark({ path, header: ifMatch('"1"'), body: { hint: null } })
  // @ts-expect-error There is no such operation.
  await client.makeLandmark({ body: landmark })
  // @ts-expect-error A body is needed.
  await client.createLandmark()
  // @ts-expect-error There is no such field.
  await client.createLandmark({ body: { ...landmark, colour: 'red' } })
  // @ts-expect-error A parameter of the path is missing.
  await client.getLandmark()
  // @ts-expect-error There is no such parameter.
  await client.listLandmarks({ query: { colour: 'red' } })
  // @ts-expect-error It takes no body.
  await client.getMe({ body: {} })
  // @ts-expect-error A plain GET has no way to say that nothing changed.
  await client.getMe({ header: { 'If-None-Match': '"1"' } })
  // @ts-expect-error A session starts with the credentials.
  await client.login({ body: { identifier: 'ada', password: '' } })
}

export function errors(error: unknown) {
  if (!(error instanceof PicaspotError)) return
  // @ts-expect-error The contract has no such code.
  if (error.code === 'invalid_credentials') return
  switch (error.code) {
    case 'otp_required':
      return
    // @ts-expect-error It is misspelt.
    case 'alredy_unlocked':
      return
    default:
      is<string>()(error.title)
  }
  if (error.code === 'already_unlocked') is<number>()(error.status)
  is<string | undefined>()(error.errors[0]?.pointer)
  // @ts-expect-error There is no such field.
  error.fields
}
