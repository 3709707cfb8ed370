package io.picaspot.client

import io.picaspot.client.model.AreaCreate
import io.picaspot.client.model.LandmarkCreate
import io.picaspot.client.model.RegisterRequest
import io.picaspot.client.model.VerifyEmailRequest
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import okhttp3.Headers
import okhttp3.HttpUrl.Companion.toHttpUrl
import okhttp3.Interceptor
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.OkHttpClient
import okhttp3.Protocol
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import okhttp3.Response
import okhttp3.ResponseBody.Companion.toResponseBody
import java.io.IOException
import java.util.UUID
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.atomic.AtomicInteger
import kotlin.random.Random
import kotlin.test.assertFailsWith
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds

const val PASSWORD = "seven maples by the quay"

val nobody: UUID = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11")

/** Retries without waiting. */
val quick = RetryPolicy(baseDelay = 1.milliseconds)

/** Shared by all, as an app would; each test adds to it what it needs. */
private val http = OkHttpClient()

/** Runs a test, which is not to hang. */
fun test(block: suspend CoroutineScope.() -> Unit): Unit = runBlocking(Dispatchers.Default) { withTimeout(2.minutes, block) }

/** What answers requests in the place of the server, or on the way to it. */
typealias Way = (Interceptor.Chain) -> Response

/** A request that went out. */
class Sent(val method: String, val path: String, val headers: Headers)

/** Keeps what goes through it, and is a place to break in. */
class Recorder(private val next: Way = { it.proceed(it.request()) }) {
    val sent = CopyOnWriteArrayList<Sent>()
    val okHttp: OkHttpClient = through { chain ->
        val request = chain.request()
        sent += Sent(request.method, request.url.encodedPath, request.headers)
        next(chain)
    }

    fun of(path: String): List<Sent> = sent.filter { it.path == path }
}

fun through(way: Way): OkHttpClient = http.newBuilder().addInterceptor(way).build()

/** A network that fails the first [times] times. If [delivered], the request arrives and its answer is lost. */
fun flaky(path: String, times: Int, delivered: Boolean = false): Way {
    val left = AtomicInteger(times)
    return { chain ->
        val request = chain.request()
        if (path in request.url.encodedPath && left.getAndDecrement() > 0) {
            if (delivered) chain.proceed(request).close()
            throw IOException("connection reset")
        }
        chain.proceed(request)
    }
}

/** An answer of nobody's. */
fun Interceptor.Chain.answer(
    status: Int,
    body: String = "",
    contentType: String = "application/json",
    headers: Map<String, String> = emptyMap(),
): Response = Response.Builder()
    .request(request())
    .protocol(Protocol.HTTP_1_1)
    .code(status)
    .message("Status of a test")
    .apply { headers.forEach { (name, value) -> header(name, value) } }
    .header("Content-Type", contentType)
    .body(body.toResponseBody(contentType.toMediaType()))
    .build()

/** An attempt as the server answers with it. */
fun attempt(status: String): String =
    """{"id": "$nobody", "landmark_id": "$nobody", "user_id": "$nobody", "status": "$status", "latitude": 1, "longitude": 2, """ +
        """"accuracy_meters": null, "captured_at": null, "checks": [], "score": null, "unlock_id": null, "decided_at": null, """ +
        """"photo": {"content_type": "image/jpeg", "bytes": 1, "width": 1, "height": 1, "url": "http://localhost/photo"}, """ +
        """"created_at": "2026-11-01T09:30:00Z", "updated_at": "2026-11-01T09:30:00Z"}"""

/** A name that no other test has. */
fun unique(prefix: String): String = "$prefix-${UUID.randomUUID().toString().take(8)}"

class Point(val latitude: Double, val longitude: Double)

/** A point that is far from those of the other tests. */
fun somewhere(): Point = Point(degrees(140), degrees(340))

private fun degrees(range: Int) = Random.nextInt(-range * 500_000, range * 500_000) / 1e6

fun client(okHttp: OkHttpClient = http, retry: RetryPolicy = RetryPolicy()): PicaspotClient =
    PicaspotClient(TestServer.url, okHttp = okHttp, retry = retry)

/** A client that is logged in as an account that came with the server. */
suspend fun asRole(role: String, client: PicaspotClient = client()): PicaspotClient =
    client.also { it.login("$role@picaspot.example", "picaspot-on-a-laptop") }

class Account(val username: String, val email: String)

/** Registers an account and proves its address with the link of the mail. */
suspend fun register(client: PicaspotClient): Account {
    val username = unique("ada")
    val email = "$username@example.org"
    client.auth.registerUser(RegisterRequest(username, email, PASSWORD))
    val token = withTimeout(30.seconds) {
        generateSequence { }.firstNotNullOf { mailedToken(email) ?: null.also { delay(30.milliseconds) } }
    }
    client.auth.verifyEmail(VerifyEmailRequest(token))
    return Account(username, email)
}

/** Logs the client in as a new account. */
suspend fun newUser(client: PicaspotClient): Account = register(client).also { client.login(it.username, PASSWORD) }

/** A client that is logged in as a new account. */
suspend fun asNewUser(okHttp: OkHttpClient = http, retry: RetryPolicy = RetryPolicy()): PicaspotClient =
    client(okHttp, retry).also { newUser(it) }

/** The token in the link of the mail to an address, from the local mailbox. */
private fun mailedToken(email: String): String? {
    val url = "${TestServer.url}/dev/mail".toHttpUrl().newBuilder().addQueryParameter("to", email).build()
    val request = Request.Builder().url(url).header("Accept", "application/json").build()
    val mails = Json.parseToJsonElement(http.newCall(request).execute().use { it.body!!.string() })
    return mails.jsonObject.getValue("items").jsonArray
        .flatMap { it.jsonObject.getValue("links").jsonArray }
        .map { it.jsonPrimitive.content }
        .firstOrNull { "verify-email" in it }
        ?.toHttpUrl()?.queryParameter("token")
}

/** A photo with a position and the present time in its EXIF, as a phone takes it. */
fun photoAt(at: Point): ByteArray {
    val url = "${TestServer.url}/dev/photo?latitude=${at.latitude}&longitude=${at.longitude}"
    return http.newCall(Request.Builder().url(url).build()).execute().use {
        check(it.isSuccessful)
        it.body!!.bytes()
    }
}

/** A photo that is sent in more than one piece: what stands behind the end of a JPEG is no part of the picture. */
fun largePhotoAt(at: Point): ByteArray = photoAt(at) + ByteArray(1_000_000)

fun ByteArray.asJPEG() = toRequestBody("image/jpeg".toMediaType())

suspend fun PicaspotClient.newArea(prefix: String = "Area") = areas.createArea(AreaCreate(name = unique(prefix))).data

/** A landmark in an area of its own. */
suspend fun landmarkAt(at: Point): UUID {
    val admin = asRole("admin")
    val area = admin.newArea()
    return admin.landmarks.createLandmark(LandmarkCreate(area.id, unique("Landmark"), at.latitude, at.longitude)).data.id
}

/** What a call was refused with. */
inline fun refusal(call: () -> Unit): PicaspotException = assertFailsWith<PicaspotException>(block = call)
