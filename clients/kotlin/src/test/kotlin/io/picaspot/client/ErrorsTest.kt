package io.picaspot.client

import io.picaspot.client.model.AreaCreate
import io.picaspot.client.model.AreaUpdate
import io.picaspot.client.model.LandmarkCreate
import io.picaspot.client.model.PasswordConfirmation
import io.picaspot.client.model.TotpConfirmation
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.RequestBody.Companion.toRequestBody
import org.junit.jupiter.api.extension.ExtendWith
import java.io.IOException
import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale
import java.util.TimeZone
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertIs
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds

@ExtendWith(TestServer::class)
class ErrorsTest {
    @Test
    fun `a malformed request names every fault`() = test {
        val recorder = Recorder()
        val admin = asRole("admin", client(recorder.okHttp))
        val malformed = LandmarkCreate(areaId = nobody, name = "", difficulty = 9, latitude = 91.0, longitude = 0.0)
        val error = refusal { admin.landmarks.createLandmark(malformed) }
        assertEquals(400, error.status)
        assertEquals("/problems/invalid_request", error.type)
        assertEquals(ProblemCode.INVALID_REQUEST, error.code)
        assertEquals("Bad Request", error.title)
        assertEquals(error.detail, error.message)
        assertEquals("/api/v1/landmarks", error.instance)
        assertTrue(error.requestId!!.isNotEmpty())
        assertEquals(listOf("/difficulty", "/latitude", "/name"), error.errors.map { it.pointer })
        assertTrue(error.errors.all { it.code.isNotEmpty() && it.message.isNotEmpty() })
    }

    @Test
    fun `a faulty parameter is named`() = test {
        val error = refusal { asRole("user").landmarks.listNearbyLandmarks(latitude = 95.0, longitude = 8.0, radiusMeters = 0.0) }
        assertEquals(listOf("latitude", "radius_meters"), error.errors.map { it.parameter })
    }

    @Test
    fun `without a session`() = test {
        val error = refusal { client().areas.listAreas() }
        assertEquals(401 to ProblemCode.UNAUTHENTICATED, error.status to error.code)
    }

    @Test
    fun `what the role does not allow`() = test {
        val error = refusal { asRole("user").admin.getPolicy() }
        assertEquals(403 to ProblemCode.FORBIDDEN, error.status to error.code)
    }

    @Test
    fun `what there is not`() = test {
        val error = refusal { asRole("user").landmarks.getLandmark(nobody) }
        assertEquals(404 to ProblemCode.NOT_FOUND, error.status to error.code)
        assertEquals(emptyList(), error.errors)
    }

    @Test
    fun `what there is already`() = test {
        val user = asRole("user")
        val twin = AreaCreate(name = unique("Twin"))
        user.areas.createArea(twin)
        val error = refusal { user.areas.createArea(twin) }
        assertEquals(409 to ProblemCode.AREA_NAME_TAKEN, error.status to error.code)
    }

    @Test
    fun `a lost update`() = test {
        val user = asRole("user")
        val id = user.newArea("Contested").id
        val (_, read) = user.areas.getArea(id)
        val first = user.areas.updateArea(id, AreaUpdate(description = Present("Mine.")), ifMatch = read)
        val error = refusal { user.areas.updateArea(id, AreaUpdate(description = Present("No, mine.")), ifMatch = read) }
        assertEquals(412 to ProblemCode.VERSION_CHANGED, error.status to error.code)
        assertEquals(first.etag, user.areas.getArea(id).etag)
    }

    @Test
    fun `a file that is no photo`() = test {
        val at = somewhere()
        val landmark = landmarkAt(at)
        val photo = "GIF89a, or nearly".toRequestBody("image/gif".toMediaType())
        val error = refusal { asRole("user").uploadAttempt(landmark, photo, at.latitude, at.longitude) }
        assertEquals(415 to ProblemCode.PHOTO_FORMAT, error.status to error.code)
    }

    @Test
    fun `a rule that is broken`() = test {
        val stray = AreaCreate(name = "Stray", parentAreaId = Present(nobody))
        val error = refusal { asRole("user").areas.createArea(stray) }
        assertEquals(422 to ProblemCode.PARENT_AREA_UNKNOWN, error.status to error.code)
        assertEquals("/parent_area_id", error.errors.first().pointer)
    }

    @Test
    fun `a limit that is used up says how long to wait`() = test {
        val user = asNewUser(retry = RetryPolicy.NONE)
        user.me.exportMe()
        val error = refusal { user.me.exportMe() }
        assertEquals(429 to ProblemCode.RATE_LIMITED, error.status to error.code)
        assertEquals(1.seconds, error.retryAfter)
    }

    @Test
    fun `a second factor that is needed is told apart`() = test {
        val client = client()
        val account = newUser(client)
        val secret = client.me.startTotp(PasswordConfirmation(PASSWORD)).data.secret
        client.me.confirmTotp(TotpConfirmation(otp(secret)))
        val again = client()
        val error = refusal { again.login(account.username, PASSWORD) }
        assertEquals(401 to ProblemCode.OTP_REQUIRED, error.status to error.code)
        assertFalse(again.isLoggedIn())
    }

    @Test
    fun `an answer that is not the server's`() = test {
        val proxy = through { it.answer(502, "<h1>Bad Gateway</h1>", "text/html") }
        val error = refusal { client(proxy).system.getHealth() }
        assertEquals(502, error.status)
        assertEquals("about:blank", error.type)
        assertNull(error.code)
        assertEquals("Status of a test", error.message)
    }

    @Test
    fun `a page in the place of an answer`() = test {
        val hotel = through { it.answer(200, "<h1>Welcome</h1>", "text/html") }
        val error = refusal { client(hotel).system.getHealth() }
        assertEquals(200, error.status)
        assertNull(error.code)
        assertEquals("Unexpected Answer", error.title)
    }

    @Test
    fun `an answer that can't be read`() = test {
        for (body in listOf("{", "[]", """{"id": "no UUID"}""", """{"keys": [{"kty": 1}]}""")) {
            val broken = through { it.answer(200, body) }
            val error = refusal { client(broken).system.getJSONWebKeySet() }
            assertEquals("Unexpected Answer", error.title)
            assertNotNull(error.cause)
        }
    }

    @Test
    fun `a date in Retry-After`() = test {
        val format = SimpleDateFormat("EEE, dd MMM yyyy HH:mm:ss 'GMT'", Locale.US).apply { timeZone = TimeZone.getTimeZone("UTC") }
        val date = format.format(Date(System.currentTimeMillis() + 60_000))
        val proxy = through { it.answer(503, headers = mapOf("Retry-After" to date)) }
        val wait = refusal { client(proxy).system.getHealth() }.retryAfter
        assertContains(50.seconds..60.seconds, assertNotNull(wait))
    }

    @Test
    fun `a server that is away is no refusal`() = test {
        val client = PicaspotClient("http://127.0.0.1:9", retry = RetryPolicy.NONE)
        val error = assertFailsWith<PicaspotNetworkException> { client.system.getHealth() }
        assertIs<IOException>(error.cause)
    }

    @Test
    fun `a part of a path that would lead elsewhere is not sent`() = test {
        val recorder = Recorder()
        val client = client(recorder.okHttp)
        for (role in listOf("", ".", "..")) assertFailsWith<IllegalArgumentException> { client.admin.getRole(role) }
        assertEquals(400, refusal { asRole("admin", client).admin.getRole("no/../role") }.status)
        assertEquals("/api/v1/admin/roles/no%2F..%2Frole", recorder.sent.last().path)
    }
}
