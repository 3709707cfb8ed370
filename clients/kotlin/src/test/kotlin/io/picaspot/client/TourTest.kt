package io.picaspot.client

import io.picaspot.client.model.AttemptStatus
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.extension.ExtendWith
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue

@ExtendWith(TestServer::class)
class TourTest {
    @Test
    fun `from the registration to the unlocked landmark`() = test {
        val at = somewhere()
        val landmarkId = landmarkAt(at)

        val client = client()
        assertFalse(client.isLoggedIn())
        val account = register(client)
        client.login(account.email, PASSWORD)
        assertTrue(client.isLoggedIn())
        assertEquals(account.username, client.me.getMe().data.username)

        val before = client.landmarks.listNearbyLandmarks(at.latitude, at.longitude, radiusMeters = 1000.0).data
        assertEquals(listOf(Triple(landmarkId, false, 0.0)), before.items.map { Triple(it.id, it.unlocked, it.distanceMeters) })

        val attempt = client.uploadAttempt(landmarkId, photoAt(at).asJPEG(), at.latitude, at.longitude, accuracyMeters = 8.0)
        assertEquals(AttemptStatus.PENDING, attempt.status)
        val seen = client.watchAttempt(attempt.id).toList()
        assertEquals(AttemptStatus.SUCCEEDED, seen.last().status, "${seen.last().checks}")
        assertEquals(seen.toSet().size, seen.size, "each change is told once")

        val after = client.landmarks.listNearbyLandmarks(at.latitude, at.longitude, radiusMeters = 1000.0).data
        assertTrue(after.items.single().unlocked)
        val again = refusal { client.uploadAttempt(landmarkId, photoAt(at).asJPEG(), at.latitude, at.longitude) }
        assertEquals(ProblemCode.ALREADY_UNLOCKED, again.code)

        client.logout()
        assertFalse(client.isLoggedIn())
        assertEquals(ProblemCode.UNAUTHENTICATED, refusal { client.me.getMe() }.code)
    }
}
