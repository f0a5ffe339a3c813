// SPDX-License-Identifier: Apache-2.0

package shm

func loadLoad() {} // fence.go: total order of loads on amd64

func storeStore() {} // fence.go: total order of stores on amd64
