package doctor

import (
	"slices"
	"strings"

	"shisa/hwcompat"
)

// hasBMC reports whether there is one, with or without driver.
func (j *judge) hasBMC() bool {
	return len(j.Facts.BMC.Devices) > 0 || j.Facts.BMC.Firmware
}

func bmcNoDriver(j *judge) []hit {
	b := j.Facts.BMC
	return when(b.Firmware && len(b.Devices) == 0 && j.wants("ipmi") && j.Facts.Virtual.Container == "",
		"the firmware names a BMC and there is no /dev/ipmi0",
		"modprobe -a ipmi_si ipmi_devintf && printf 'ipmi_si\\nipmi_devintf\\n' > /etc/modules-load.d/shisa-ipmi.conf")
}

// bmcUntried: hardware that follows the standard may still not do as told, so a
// BMC counts only after it was seen to reset the machine. The original's list
// of servers was an example, and so is ours.
func bmcUntried(j *judge) []hit {
	product := strings.TrimSpace(j.Facts.BMC.Vendor + " " + j.Facts.BMC.Product)
	known := slices.ContainsFunc(j.Matrix.Servers.Rows, func(s hwcompat.Server) bool {
		return j.Facts.BMC.Product != "" && strings.Contains(j.Facts.BMC.Product, s.Server)
	})
	if product == "" {
		product = "this server"
	}
	return when(j.hasBMC() && !known && j.wants("ipmi") && j.Facts.Virtual.VM == "",
		"nobody has reported a reset by the BMC of "+product+"; some that follow the standard do not act",
		"let it reset the machine once, in a maintenance window, before you rely on it")
}

func bmcShared(j *judge) []hit {
	if !j.hasBMC() {
		return nil
	}
	wanted := slices.Contains(j.Needs.Engines, "ipmi") || slices.Contains(j.Needs.Engines, "ipmiutil")
	var hits []hit
	for _, d := range j.daemons(hwcompat.UsesBMCTimer, hwcompat.UsesBMC) {
		h := hit{reason: d.Title + " talks to the BMC too; its timer is left alone", mend: d.Mend, severity: Info}
		if d.Uses == hwcompat.UsesBMCTimer {
			h.reason = d.Title + " may drive the watchdog timer of the BMC: two owners stop or reset it under each other"
			h.severity = ""
			if wanted {
				h.severity = Error
			}
		}
		hits = append(hits, h)
	}
	return hits
}

// ipmiProgram holds for the engine that calls a program; engine ipmi needs
// none.
func ipmiProgram(j *judge) []hit {
	_, ipmiutil := j.Facts.Programs["ipmiutil"]
	_, ipmitool := j.Facts.Programs["ipmitool"]
	return when(slices.Contains(j.Needs.Engines, "ipmiutil") && !ipmiutil && !ipmitool,
		"engine ipmiutil is configured, and neither ipmiutil nor ipmitool is installed",
		"install the package ipmitool, or use engine ipmi, which needs no program")
}
