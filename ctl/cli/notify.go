package cli

import (
	"github.com/spf13/cobra"

	"shisa/ctl/api"
)

func (a *app) notify() *cobra.Command {
	var n api.NotifyCommand
	c := &cobra.Command{Use: "notify [CATEGORY [KEYWORD]]", Short: "tell monitors of type message of a failure",
		Long: "notify tells the monitors of type message that take CATEGORY and KEYWORD of a failure that somebody outside has seen;\n" +
			"each of them fails until it is told with --clear that the failure is over, or forgets it by itself.",
		Example: "  shisa notify disk sdb --text \"the storage box lost a path\"\n  shisa notify --monitor alarm\n  shisa notify disk sdb --clear",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			for i, part := range []*string{&n.Category, &n.Keyword} {
				if i < len(args) {
					*part = args[i]
				}
			}
			return a.result(a.client().Notify(c.Context(), n))
		}}
	c.Flags().StringVar(&n.Monitor, "monitor", "", "only this monitor, whatever it takes")
	c.Flags().StringVar(&n.Text, "text", "", "what happened, for people")
	c.Flags().BoolVar(&n.Clear, "clear", false, "the failure is over")
	return c
}
