package security

func maskingAttacks() []attack     { return nil }
func floodAttacks() []attack       { return nil }
