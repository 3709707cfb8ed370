package io.picaspot.client

import io.picaspot.client.model.AdminUser
import io.picaspot.client.model.AreaUpdate
import io.picaspot.client.model.DependencyState
import io.picaspot.client.model.MeUpdate
import io.picaspot.client.model.Readiness
import io.picaspot.client.model.ReadinessStatus
import io.picaspot.client.model.ReportUpdate
import io.picaspot.client.model.ReportUpdateStatus
import io.picaspot.client.model.UserStatus
import kotlinx.serialization.json.Json
import java.time.Instant
import java.time.ZoneOffset
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals

class SerializationTest {
    private val json = Json { ignoreUnknownKeys = true }

    private fun user(status: String, createdAt: String) = json.decodeFromString<AdminUser>(
        """
        {"id": "$nobody", "username": "ada", "email": "ada@example.org", "display_name": null, "role": "user",
        "status": "$status", "email_verified_at": null, "created_at": "$createdAt", "updated_at": "2026-11-01T09:30:00Z",
        "added_later": {"by": "a server"}}
        """,
    )

    @Test
    fun `a value that is not known is no error`() {
        assertEquals(UserStatus.SUSPENDED, user("suspended", "2026-11-01T09:30:00Z").status)
        assertEquals(UserStatus.UNKNOWN, user("asleep", "2026-11-01T09:30:00Z").status)
        val readiness = json.decodeFromString<Readiness>("""{"status": "warming", "dependencies": {"redis": "slow", "postgres": "up"}}""")
        assertEquals(ReadinessStatus.UNKNOWN, readiness.status)
        assertEquals(mapOf("redis" to DependencyState.UNKNOWN, "postgres" to DependencyState.UP), readiness.dependencies)
    }

    @Test
    fun `times are read with any offset and written in UTC`() {
        val user = user("active", "2026-11-01T17:30:00.5+08:00")
        assertEquals(Instant.parse("2026-11-01T09:30:00.5Z"), user.createdAt.toInstant())
        assertEquals(ZoneOffset.ofHours(8), user.createdAt.offset)
        assertContains(Json.encodeToString(user), """"created_at":"2026-11-01T09:30:00.500Z"""")
    }

    @Test
    fun `absent, null and a value are three things`() {
        assertEquals("{}", Json.encodeToString(MeUpdate()))
        assertEquals("""{"display_name":null}""", Json.encodeToString(MeUpdate(displayName = Present(null))))
        assertEquals("""{"display_name":"Ada","bio":""}""", Json.encodeToString(MeUpdate(displayName = Present("Ada"), bio = Present(""))))
        assertEquals("""{"parent_area_id":"$nobody"}""", Json.encodeToString(AreaUpdate(parentAreaId = Present(nobody))))
        assertEquals("""{"parent_area_id":null}""", Json.encodeToString(AreaUpdate(parentAreaId = Present(null))))
        assertEquals("""{"status":"dismissed"}""", Json.encodeToString(ReportUpdate(ReportUpdateStatus.DISMISSED)))
    }
}
