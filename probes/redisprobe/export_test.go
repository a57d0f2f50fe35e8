package redisprobe

// SlotKeys are the ends of the keys with which the probe tests a cluster's slots.
var SlotKeys = slotKeys
