package io.picaspot.client

import io.picaspot.client.model.AreaCreate
import io.picaspot.client.model.MeUpdate
import io.picaspot.client.model.PasswordChange
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.launch
import okhttp3.RequestBody
import okio.BufferedSink
import org.junit.jupiter.api.extension.ExtendWith
import java.io.IOException
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.minutes
import kotlin.time.Duration.Companion.seconds

private const val HEALTH = "/healthz"
private const val AREAS = "/api/v1/areas"

@ExtendWith(TestServer::class)
class RetryTest {
    @Test
    fun `a read is sent again when the network fails`() = test {
        val recorder = Recorder(flaky(HEALTH, 2))
        assertEquals(200, client(recorder.okHttp, quick).system.getHealth().status)
        assertEquals(3, recorder.of(HEALTH).size)
    }

    @Test
    fun `not more often than is allowed`() = test {
        val recorder = Recorder(flaky(HEALTH, 9))
        val client = client(recorder.okHttp, quick.copy(attempts = 2))
        assertFailsWith<PicaspotNetworkException> { client.system.getHealth() }
        assertEquals(2, recorder.of(HEALTH).size)
        assertFailsWith<PicaspotNetworkException> { client.with(retry = RetryPolicy.NONE).system.getHealth() }
        assertEquals(3, recorder.of(HEALTH).size)
    }

    @Test
    fun `what creates something is sent again under its key, and creates one`() = test {
        val recorder = Recorder(flaky(AREAS, 1, delivered = true))
        val user = asNewUser(recorder.okHttp, quick)
        val name = unique("Once")
        val answer = user.areas.createArea(AreaCreate(name = name))
        assertEquals(name, answer.data.name)
        assertEquals("true", answer.headers["Idempotency-Replayed"])
        val keys = recorder.of(AREAS).map { assertNotNull(it.headers["Idempotency-Key"]) }
        assertEquals(2, keys.size)
        assertEquals(1, keys.toSet().size)
    }

    @Test
    fun `so is a photo`() = test {
        val at = somewhere()
        val landmark = landmarkAt(at)
        val user = asNewUser(Recorder(flaky("/attempts", 1, delivered = true)).okHttp, quick)
        val attempt = user.uploadAttempt(landmark, photoAt(at).asJPEG(), at.latitude, at.longitude)
        assertEquals(listOf(attempt.id), user.unlocks.listAttempts().data.items.map { it.id })
    }

    @Test
    fun `but no photo that can be read once only`() = test {
        val at = somewhere()
        val landmark = landmarkAt(at)
        val photo = photoAt(at).asJPEG()
        val stream = object : RequestBody() {
            override fun contentType() = photo.contentType()
            override fun isOneShot() = true
            override fun writeTo(sink: BufferedSink) = photo.writeTo(sink)
        }
        val recorder = Recorder(flaky("/attempts", 1))
        val user = asNewUser(recorder.okHttp, quick)
        assertFailsWith<PicaspotNetworkException> { user.uploadAttempt(landmark, stream, at.latitude, at.longitude) }
        assertEquals(1, recorder.of("/api/v1/landmarks/$landmark/attempts").size)
    }

    @Test
    fun `a key of the app's own is kept`() = test {
        val user = asNewUser()
        val key = unique("key")
        val area = AreaCreate(name = unique("Own"))
        val first = user.areas.createArea(area, idempotencyKey = key)
        val second = user.areas.createArea(area, idempotencyKey = key)
        assertEquals(first.data.id, second.data.id)
        val other = refusal { user.areas.createArea(AreaCreate(name = "Another"), idempotencyKey = key) }
        assertEquals(422 to ProblemCode.IDEMPOTENCY_KEY_REUSED, other.status to other.code)
    }

    @Test
    fun `a first try that is still under way is waited for`() = test {
        val left = AtomicInteger(1)
        val recorder = Recorder { chain ->
            if (chain.request().url.encodedPath == AREAS && left.getAndDecrement() > 0) {
                chain.answer(409, """{"type": "/problems/idempotency_key_in_use", "status": 409}""")
            } else {
                chain.proceed(chain.request())
            }
        }
        val name = unique("Slow")
        assertEquals(name, asNewUser(recorder.okHttp, quick).areas.createArea(AreaCreate(name = name)).data.name)
        assertEquals(2, recorder.of(AREAS).size)
    }

    @Test
    fun `what may have happened already and has no key is not sent again`() = test {
        val recorder = Recorder(flaky("/api/v1/me", 9, delivered = true))
        val user = asNewUser(recorder.okHttp, quick)
        assertFailsWith<PicaspotNetworkException> { user.me.updateMe(MeUpdate(bio = Present("Once."))) }
        assertEquals(1, recorder.of("/api/v1/me").size)
    }

    @Test
    fun `nor is a change that is guarded by its ETag`() = test {
        val recorder = Recorder(flaky("$AREAS/", 9, delivered = true))
        val user = asNewUser(recorder.okHttp, quick)
        val id = user.newArea("Guarded").id
        assertFailsWith<PicaspotNetworkException> { user.areas.deleteArea(id, ifMatch = "\"1\"") }
        assertEquals(1, recorder.of("$AREAS/$id").size)
    }

    @Test
    fun `nor is a password that may have been changed`() = test {
        val recorder = Recorder(flaky("/api/v1/me/password", 1, delivered = true))
        val user = client(recorder.okHttp, quick)
        val account = newUser(user)
        val change = PasswordChange(currentPassword = PASSWORD, password = "eight oaks on the hill")
        assertFailsWith<PicaspotNetworkException> { user.me.changePassword(change) }
        assertEquals(1, recorder.of("/api/v1/me/password").size)
        user.login(account.username, change.password)
    }

    @Test
    fun `a used up limit is waited for`() = test {
        val recorder = Recorder()
        val user = asNewUser(recorder.okHttp)
        user.me.exportMe()
        assertEquals(200, user.me.exportMe().status)
        assertEquals(3, recorder.of("/api/v1/me/export").size)
    }

    @Test
    fun `unless the wait is too long`() = test {
        val user = asNewUser(retry = RetryPolicy(maxDelay = 500.milliseconds))
        user.me.exportMe()
        val error = refusal { user.me.exportMe() }
        assertEquals(429 to 1.seconds, error.status to error.retryAfter)
    }

    @Test
    fun `a server that is busy is asked again`() = test {
        val isBusy = AtomicBoolean(true)
        val recorder = Recorder { if (isBusy.getAndSet(false)) it.answer(503) else it.proceed(it.request()) }
        client(recorder.okHttp, quick).system.getHealth()
        assertEquals(2, recorder.of(HEALTH).size)
    }

    @Test
    fun `a pause can be cancelled`() = test {
        val hasFailed = CompletableDeferred<Unit>()
        val recorder = Recorder {
            hasFailed.complete(Unit)
            throw IOException("connection reset")
        }
        val client = client(recorder.okHttp, RetryPolicy(baseDelay = 5.minutes, maxDelay = 5.minutes))
        val call = launch { client.system.getHealth() }
        hasFailed.await()
        call.cancelAndJoin()
        assertEquals(1, recorder.of(HEALTH).size)
    }
}
