// SPDX-License-Identifier: Apache-2.0
// Empty until the room's first source lands.
