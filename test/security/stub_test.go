package security

func replyAttacks() []attack       { return nil }
func headerAttacks() []attack      { return nil }
func connectAttacks() []attack     { return nil }
func jwsAttacks() []attack         { return nil }
func replayAttacks() []attack      { return nil }
func enumerationAttacks() []attack { return nil }
func clockAttacks() []attack       { return nil }
func syncAttacks() []attack        { return nil }
func maskingAttacks() []attack     { return nil }
func floodAttacks() []attack       { return nil }
