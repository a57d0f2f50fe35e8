package redisprobe

// SlotKeys are the names by which a cluster's slots are asked.
var SlotKeys = slotKeys
