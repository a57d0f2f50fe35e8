package promhealth

// FromSource lets tests collect from a Source without a Health.
var FromSource = newCollector
