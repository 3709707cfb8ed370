package io.picaspot.client

import io.picaspot.client.api.CreateTokenGrantType
import io.picaspot.client.api.ListAreaLandmarksSortBy
import io.picaspot.client.api.ListAreaLandmarksSortOrder
import io.picaspot.client.api.ListLandmarksSortBy
import io.picaspot.client.api.ListLandmarksSortOrder
import io.picaspot.client.model.AreaUpdate
import io.picaspot.client.model.LandmarkCreate
import io.picaspot.client.model.LandmarkUpdate
import io.picaspot.client.model.MeUpdate
import io.picaspot.client.model.Position
import io.picaspot.client.model.PositionUpdate
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.toList
import org.junit.jupiter.api.extension.ExtendWith
import java.time.OffsetDateTime
import java.time.ZoneOffset
import java.util.UUID
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue

private class Many(val user: PicaspotClient, val areaId: UUID, val names: List<String>, val recorder: Recorder) {
    fun asked(path: String) = recorder.of(path).count { it.method == "GET" }
}

private suspend fun areaWithLandmarks(count: Int): Many {
    val recorder = Recorder()
    val user = asNewUser(recorder.okHttp)
    val area = user.newArea("Many")
    val names = List(count) { "Stone $it" }
    for ((i, name) in names.withIndex()) {
        user.landmarks.createLandmark(LandmarkCreate(area.id, name, latitude = -60 + i / 10.0, longitude = 20.0))
    }
    return Many(user, area.id, names, recorder)
}

@ExtendWith(TestServer::class)
class ResourcesTest {
    @Test
    fun `a list is walked through page after page`() = test {
        with(areaWithLandmarks(7)) {
            val found = paginate {
                user.landmarks.listLandmarks(
                    areaId = areaId,
                    sortBy = ListLandmarksSortBy.CREATED_AT,
                    sortOrder = ListLandmarksSortOrder.ASC,
                    size = 3,
                    cursor = it,
                )
            }
            assertEquals(names, found.map { it.name }.toList())
            assertEquals(3, asked("/api/v1/landmarks"))
        }
    }

    @Test
    fun `only what is needed is asked for, and it can be gone on with`() = test {
        with(areaWithLandmarks(4)) {
            suspend fun list(cursor: String) = user.areas.listAreaLandmarks(
                areaId = areaId,
                sortBy = ListAreaLandmarksSortBy.CREATED_AT,
                sortOrder = ListAreaLandmarksSortOrder.ASC,
                size = 2,
                cursor = cursor,
            )
            val first = paginatePages { list(it) }.first()
            assertEquals(names.take(2), first.items.map { it.name })
            assertEquals(1, asked("/api/v1/areas/$areaId/landmarks"))
            val rest = paginate(assertNotNull(first.nextCursor)) { list(it) }
            assertEquals(names.drop(2), rest.map { it.name }.toList())
        }
    }

    @Test
    fun `an empty list has no items`() = test {
        val user = asNewUser()
        assertEquals(emptyList(), paginate { user.unlocks.listUnlocks(cursor = it) }.toList())
    }

    @Test
    fun `a list by page tells how much there is`() = test {
        with(areaWithLandmarks(3)) {
            val page: Page<*> = user.landmarks.listLandmarks(areaId = areaId, page = 2, size = 2).data
            assertEquals(listOf<Int?>(3, 2, 2, 2), listOf(page.total, page.page, page.size, page.pages))
            assertEquals(1, page.items.size)
            assertNull(page.nextCursor)
        }
    }

    @Test
    fun `a patch leaves what is absent and clears what is null`() = test {
        val me = asNewUser().me
        val named = me.updateMe(MeUpdate(displayName = Present("Ada"), bio = Present("Collects lighthouses."))).data
        assertEquals("Ada", named.displayName)
        val left = me.updateMe(MeUpdate(bio = Present("Collects stones."))).data
        assertEquals("Ada" to "Collects stones.", left.displayName to left.bio)
        val cleared = me.updateMe(MeUpdate(displayName = Present(null))).data
        assertEquals(null to "Collects stones.", cleared.displayName to cleared.bio)
    }

    @Test
    fun `so does one of an object in it`() = test {
        val landmarks = asRole("admin").landmarks
        val id = landmarkAt(somewhere())
        val position = Position(latitude = 1.5, longitude = 2.5)
        val moved = LandmarkUpdate(photoLocation = Present(PositionUpdate(position.latitude, position.longitude)))
        assertEquals(position, landmarks.updateLandmark(id, moved).data.photoLocation)
        assertEquals(position, landmarks.updateLandmark(id, LandmarkUpdate(hint = Present("Look up."))).data.photoLocation)
        assertNull(landmarks.updateLandmark(id, LandmarkUpdate(photoLocation = Present(null))).data.photoLocation)
    }

    @Test
    fun `what did not change is not sent again`() = test {
        val user = asRole("user")
        val areas = user.areas
        val id = user.newArea("Steady").id
        val first = assertNotNull(ifChanged(null) { areas.getArea(id, ifNoneMatch = it) })
        assertEquals(id, first.data.id)
        assertNull(ifChanged(first.etag) { areas.getArea(id, ifNoneMatch = it) })
        val same = areas.getArea(id, ifNoneMatch = first.etag)
        assertTrue(same.isNotModified)
        assertFailsWith<IllegalStateException> { same.data }
        areas.updateArea(id, AreaUpdate(description = Present("Not any more.")), ifMatch = first.etag)
        val second = ifChanged(first.etag) { areas.getArea(id, ifNoneMatch = it) }
        assertEquals("Not any more.", second?.data?.description)
    }

    @Test
    fun `an image goes up and comes down as a file`() = test {
        val at = somewhere()
        val id = landmarkAt(at)
        val landmarks = asRole("admin").landmarks
        val put = assertNotNull(landmarks.putLandmarkImage(id, photoAt(at).asJPEG()).data.image)
        val image = landmarks.getLandmarkImage(id)
        assertEquals(put.bytes, image.data.size.toLong())
        assertEquals("image/jpeg", image.headers["Content-Type"])
        assertEquals(204, landmarks.deleteLandmarkImage(id).status)
        assertEquals(404, refusal { landmarks.getLandmarkImage(id) }.status)
    }

    @Test
    fun `the policy is a text`() = test {
        val admin = asRole("admin").admin
        val (policy, etag) = admin.getPolicy()
        assertContains(policy, "\np, user, area")
        val version = admin.replacePolicy(assertNotNull(etag), "$policy# ${unique("remark")}\n", comment = "A remark.").data
        assertEquals("A remark.", version.comment)
    }

    @Test
    fun `a form is sent as one`() = test {
        val tokens = client().auth.createToken(
            CreateTokenGrantType.PASSWORD,
            username = "user@picaspot.example",
            password = "picaspot-on-a-laptop",
        )
        assertTrue(tokens.data.accessToken.isNotEmpty())
    }

    @Test
    fun `a map gets its tiles and features`() = test {
        val at = somewhere()
        val id = landmarkAt(at)
        val user = asNewUser()
        assertTrue(user.map.getLandmarkTile(0, 0, 0).data.isNotEmpty())
        val box = "${at.longitude - 0.001},${at.latitude - 0.001},${at.longitude + 0.001},${at.latitude + 0.001}"
        val feature = user.map.exportLandmarks(bbox = box).data.features.single()
        assertEquals(id, feature.id)
        assertEquals(listOf(at.longitude, at.latitude), feature.geometry.coordinates)
    }

    @Test
    fun `times are sent in UTC and read with their offset`() = test {
        val recorder = Recorder()
        val admin = asRole("admin", client(recorder.okHttp))
        val now = OffsetDateTime.now(ZoneOffset.ofHours(8))
        assertTrue(admin.admin.listAuditLogs(from = now.minusDays(1), to = now.plusDays(1)).data.items.isNotEmpty())
        val singapore = admin.with(headers = mapOf("X-Timezone" to "Asia/Singapore"))
        val me = singapore.me.getMe().data
        assertEquals(ZoneOffset.ofHours(8), me.createdAt.offset)
        assertEquals("Asia/Singapore", recorder.sent.last().headers["X-Timezone"])
        assertEquals(ZoneOffset.UTC, admin.me.getMe().data.createdAt.offset)
        assertEquals(admin.me.getMe().data.createdAt.toInstant(), me.createdAt.toInstant())
    }
}
