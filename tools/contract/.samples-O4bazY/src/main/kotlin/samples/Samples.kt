package samples

import io.picaspot.client.PicaspotClient
import io.picaspot.client.Present
import io.picaspot.client.api.*
import io.picaspot.client.model.*
import java.time.OffsetDateTime
import java.util.UUID

public class Samples(private val client: PicaspotClient, private val photo: okhttp3.RequestBody, private val policy: String) {
    public suspend fun registerUser() {
        val answer = client.auth.registerUser(
          registerRequest = RegisterRequest(
            email = "ada@example.org",
            password = "correct horse battery staple",
            username = "ada",
          ),
        )
    }
    public suspend fun verifyEmail() {
        client.auth.verifyEmail(
          verifyEmailRequest = VerifyEmailRequest(token = "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
        )
    }
    public suspend fun resendVerification() {
        val answer = client.auth.resendVerification(emailRequest = EmailRequest(email = "ada@example.org"))
    }
    public suspend fun login() {
        val answer = client.auth.login(
          loginRequest = LoginRequest(
            identifier = "ada@example.org",
            password = "correct horse battery staple",
          ),
        )
    }
    public suspend fun createToken() {
        val answer = client.auth.createToken(
          grantType = CreateTokenGrantType.PASSWORD,
          password = "correct horse battery staple",
          username = "ada",
        )
    }
    public suspend fun refreshSession() {
        val answer = client.auth.refreshSession(
          refreshRequest = RefreshRequest(
            refreshToken = "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
          ),
        )
    }
    public suspend fun logout() {
        client.auth.logout()
    }
    public suspend fun logoutAll() {
        client.auth.logoutAll()
    }
    public suspend fun requestPasswordReset() {
        val answer = client.auth.requestPasswordReset(emailRequest = EmailRequest(email = "ada@example.org"))
    }
    public suspend fun resetPassword() {
        client.auth.resetPassword(
          passwordResetRequest = PasswordResetRequest(
            password = "seven maples by the quay",
            token = "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
          ),
        )
    }
    public suspend fun getMe() {
        val answer = client.me.getMe()
    }
    public suspend fun updateMe() {
        val answer = client.me.updateMe(
          meUpdate = MeUpdate(
            bio = "Collects lighthouses.",
            displayName = Present("Ada"),
          ),
        )
    }
    public suspend fun deleteMe() {
        client.me.deleteMe(
          passwordConfirmation = PasswordConfirmation(password = "correct horse battery staple"),
        )
    }
    public suspend fun changePassword() {
        client.me.changePassword(
          passwordChange = PasswordChange(
            currentPassword = "correct horse battery staple",
            password = "seven maples by the quay",
          ),
        )
    }
    public suspend fun changeEmail() {
        val answer = client.me.changeEmail(
          emailChange = EmailChange(
            email = "lovelace@example.org",
            password = "correct horse battery staple",
          ),
        )
    }
    public suspend fun putAvatar() {
        val answer = client.me.putAvatar(body = photo)
    }
    public suspend fun deleteAvatar() {
        client.me.deleteAvatar()
    }
    public suspend fun listSessions() {
        val answer = client.me.listSessions()
    }
    public suspend fun endSession() {
        client.me.endSession(
          sessionId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun startTotp() {
        val answer = client.me.startTotp(
          passwordConfirmation = PasswordConfirmation(password = "correct horse battery staple"),
        )
    }
    public suspend fun removeTotp() {
        client.me.removeTotp(
          passwordConfirmation = PasswordConfirmation(otp = "492039", password = "correct horse battery staple"),
        )
    }
    public suspend fun confirmTotp() {
        val answer = client.me.confirmTotp(totpConfirmation = TotpConfirmation(otp = "492039"))
    }
    public suspend fun replaceRecoveryCodes() {
        val answer = client.me.replaceRecoveryCodes(
          passwordConfirmation = PasswordConfirmation(otp = "492039", password = "correct horse battery staple"),
        )
    }
    public suspend fun exportMe() {
        val answer = client.me.exportMe()
    }
    public suspend fun getUserAvatar() {
        val answer = client.users.getUserAvatar(
          userId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun listAreas() {
        val answer = client.areas.listAreas()
    }
    public suspend fun createArea() {
        val answer = client.areas.createArea(
          areaCreate = AreaCreate(
            description = "Quays and lighthouses.",
            name = "Old Harbour",
          ),
        )
    }
    public suspend fun listNearbyAreas() {
        val answer = client.areas.listNearbyAreas(
          latitude = 53.8671,
          longitude = 8.7206,
          radiusMeters = 1000.0,
        )
    }
    public suspend fun getArea() {
        val answer = client.areas.getArea(
          areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun updateArea() {
        val answer = client.areas.updateArea(
          areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
          areaUpdate = AreaUpdate(description = "Quays and two lighthouses."),
        )
    }
    public suspend fun deleteArea() {
        client.areas.deleteArea(
          areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun listAreaLandmarks() {
        val answer = client.areas.listAreaLandmarks(
          areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun getAreaImage() {
        val answer = client.areas.getAreaImage(
          areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun putAreaImage() {
        val answer = client.areas.putAreaImage(
          areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
          body = photo,
        )
    }
    public suspend fun deleteAreaImage() {
        client.areas.deleteAreaImage(
          areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun verifyArea() {
        val answer = client.areas.verifyArea(
          areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun unverifyArea() {
        val answer = client.areas.unverifyArea(
          areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun listLandmarks() {
        val answer = client.landmarks.listLandmarks()
    }
    public suspend fun createLandmark() {
        val answer = client.landmarks.createLandmark(
          landmarkCreate = LandmarkCreate(
            areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
            description = "White with a red lantern.",
            difficulty = 2,
            hint = "Look where the pier ends.",
            latitude = 53.8671,
            longitude = 8.7206,
            name = "North Lighthouse",
          ),
        )
    }
    public suspend fun listNearbyLandmarks() {
        val answer = client.landmarks.listNearbyLandmarks(
          latitude = 53.8671,
          longitude = 8.7206,
          radiusMeters = 1000.0,
        )
    }
    public suspend fun getLandmark() {
        val answer = client.landmarks.getLandmark(
          landmarkId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun updateLandmark() {
        val answer = client.landmarks.updateLandmark(
          landmarkId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
          landmarkUpdate = LandmarkUpdate(
            hint = "Look where the long pier ends.",
            photoLocation = Present(Position(latitude = 53.8669, longitude = 8.7211)),
          ),
        )
    }
    public suspend fun deleteLandmark() {
        client.landmarks.deleteLandmark(
          landmarkId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun getLandmarkImage() {
        val answer = client.landmarks.getLandmarkImage(
          landmarkId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun putLandmarkImage() {
        val answer = client.landmarks.putLandmarkImage(
          landmarkId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
          body = photo,
        )
    }
    public suspend fun deleteLandmarkImage() {
        client.landmarks.deleteLandmarkImage(
          landmarkId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun verifyLandmark() {
        val answer = client.landmarks.verifyLandmark(
          landmarkId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun unverifyLandmark() {
        val answer = client.landmarks.unverifyLandmark(
          landmarkId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun exportLandmarks() {
        val answer = client.map.exportLandmarks()
    }
    public suspend fun getLandmarkTile() {
        val answer = client.map.getLandmarkTile(z = 12, x = 2147, y = 1307)
    }
    public suspend fun getUnlockTile() {
        val answer = client.map.getUnlockTile(z = 12, x = 2147, y = 1307)
    }
    public suspend fun createAttempt() {
        val answer = client.unlocks.createAttempt(
          landmarkId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
          accuracyMeters = 12.0,
          capturedAt = OffsetDateTime.parse("2026-11-01T09:30:00Z"),
          latitude = 53.8671,
          longitude = 8.7206,
          photo = photo,
        )
    }
    public suspend fun listAttempts() {
        val answer = client.unlocks.listAttempts()
    }
    public suspend fun getAttempt() {
        val answer = client.unlocks.getAttempt(
          attemptId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun getAttemptPhoto() {
        val answer = client.unlocks.getAttemptPhoto(
          attemptId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun listUnlocks() {
        val answer = client.unlocks.listUnlocks()
    }
    public suspend fun getUnlock() {
        val answer = client.unlocks.getUnlock(
          unlockId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun updateUnlock() {
        val answer = client.unlocks.updateUnlock(
          unlockId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
          unlockUpdate = UnlockUpdate(caption = "Worth the climb.", isPostedToFeed = true),
        )
    }
    public suspend fun createReport() {
        val answer = client.moderation.createReport(
          reportCreate = ReportCreate(
            comment = "This is my garden.",
            reason = ReportReason.PRIVATE_PLACE,
            subjectId = UUID.fromString("01932c09-5a57-7a31-b3a0-6b6b0b7a6d21"),
            subjectType = ReportSubject.LANDMARK,
          ),
        )
    }
    public suspend fun listReports() {
        val answer = client.moderation.listReports()
    }
    public suspend fun resolveReport() {
        val answer = client.moderation.resolveReport(
          reportId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
          reportUpdate = ReportUpdate(
            action = ReportAction.DELETE,
            note = "It was a private garden.",
            status = "resolved",
          ),
        )
    }
    public suspend fun listUsers() {
        val answer = client.admin.listUsers()
    }
    public suspend fun getUser() {
        val answer = client.admin.getUser(
          userId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun updateUser() {
        val answer = client.admin.updateUser(
          userId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
          adminUserUpdate = AdminUserUpdate(role = "moderator"),
        )
    }
    public suspend fun purgeUser() {
        client.admin.purgeUser(
          userId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun restoreUser() {
        val answer = client.admin.restoreUser(
          userId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun purgeArea() {
        client.admin.purgeArea(
          areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun restoreArea() {
        val answer = client.admin.restoreArea(
          areaId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun purgeLandmark() {
        client.admin.purgeLandmark(
          landmarkId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun restoreLandmark() {
        val answer = client.admin.restoreLandmark(
          landmarkId = UUID.fromString("01932c07-209c-7f7e-8d0a-7e1b5f1f0c11"),
        )
    }
    public suspend fun listTrash() {
        val answer = client.admin.listTrash()
    }
    public suspend fun listRoles() {
        val answer = client.admin.listRoles()
    }
    public suspend fun createRole() {
        val answer = client.admin.createRole(
          roleCreate = RoleCreate(
            description = "Looks after museums.",
            inherits = listOf("user"),
            name = "curator",
            permissions = listOf(Grant(permission = "area:verify", scope = PolicyScope.ANY)),
          ),
        )
    }
    public suspend fun getRole() {
        val answer = client.admin.getRole(role = "curator")
    }
    public suspend fun updateRole() {
        val answer = client.admin.updateRole(
          role = "curator",
          roleUpdate = RoleUpdate(requiresMfa = true),
        )
    }
    public suspend fun deleteRole() {
        client.admin.deleteRole(role = "curator")
    }
    public suspend fun replaceRolePermissions() {
        val answer = client.admin.replaceRolePermissions(
          role = "curator",
          rolePermissions = RolePermissions(
            permissions = listOf(Grant(permission = "area:verify", scope = PolicyScope.ANY), Grant(permission = "landmark:delete", scope = PolicyScope.OWN)),
          ),
        )
    }
    public suspend fun listPermissions() {
        val answer = client.admin.listPermissions()
    }
    public suspend fun getPolicy() {
        val answer = client.admin.getPolicy()
    }
    public suspend fun replacePolicy() {
        val answer = client.admin.replacePolicy(ifMatch = "\"1\"", body = policy)
    }
    public suspend fun validateAccess() {
        val answer = client.admin.validateAccess(
          policyCheck = PolicyCheck(permission = "area:update", role = "moderator"),
        )
    }
    public suspend fun listPolicyVersions() {
        val answer = client.admin.listPolicyVersions()
    }
    public suspend fun restorePolicyVersion() {
        val answer = client.admin.restorePolicyVersion(version = 1)
    }
    public suspend fun listAuditLogs() {
        val answer = client.admin.listAuditLogs()
    }
    public suspend fun exportAuditLogs() {
        val answer = client.admin.exportAuditLogs()
    }
    public suspend fun getHealth() {
        val answer = client.system.getHealth()
    }
    public suspend fun getReadiness() {
        val answer = client.system.getReadiness()
    }
    public suspend fun getJSONWebKeySet() {
        val answer = client.system.getJSONWebKeySet()
    }
    public suspend fun getOpenAPIYAML() {
        val answer = client.system.getOpenAPIYAML()
    }
    public suspend fun getOpenAPIJSON() {
        val answer = client.system.getOpenAPIJSON()
    }
    public suspend fun getDocs() {
        val answer = client.system.getDocs()
    }
}
