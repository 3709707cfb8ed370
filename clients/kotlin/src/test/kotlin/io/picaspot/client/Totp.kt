package io.picaspot.client

import java.math.BigInteger
import java.nio.ByteBuffer
import javax.crypto.Mac
import javax.crypto.spec.SecretKeySpec

private const val BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

/** The present code of an authenticator app (RFC 6238). */
fun otp(secret: String): String {
    val bits = secret.map { BASE32.indexOf(it).toString(2).padStart(5, '0') }.joinToString("")
    val key = bits.chunked(8).filter { it.length == 8 }.map { BigInteger(it, 2).toByte() }.toByteArray()
    val counter = ByteBuffer.allocate(8).putLong(System.currentTimeMillis() / 30_000).array()
    val code = Mac.getInstance("HmacSHA1").apply { init(SecretKeySpec(key, "HmacSHA1")) }.doFinal(counter)
    val number = ByteBuffer.wrap(code).getInt(code.last().toInt() and 0xf) and 0x7fffffff
    return (number % 1_000_000).toString().padStart(6, '0')
}
