package io.picaspot.client

import kotlinx.serialization.Serializable

/**
 * A value, also null, of a field that may be left out as well: without one the field
 * is absent, with `Present(null)` it is there and null. In a JSON Merge Patch
 * (RFC 7396) that is the difference between what stays and what is cleared.
 */
@JvmInline
@Serializable
public value class Present<out T>(public val value: T)
