package dashboard

// The part of Grafana's dashboard model that is used here. Names and meaning are
// those of https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/.

type board struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	Timezone      string   `json:"timezone"`
	Editable      bool     `json:"editable"`
	GraphTooltip  int      `json:"graphTooltip"`
	Refresh       string   `json:"refresh"`
	SchemaVersion int      `json:"schemaVersion"`
	Time          struct {
		From string `json:"from"`
		To   string `json:"to"`
	} `json:"time"`
	Links      []link `json:"links"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []annotation `json:"list"`
	} `json:"annotations"`
	Panels []element `json:"panels"`
}

type link struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	Type        string `json:"type,omitzero"`
	TargetBlank bool   `json:"targetBlank"`
}

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type variable struct {
	Name       string      `json:"name"`
	Label      string      `json:"label"`
	Type       string      `json:"type"`
	Datasource *datasource `json:"datasource,omitzero"`
	Query      string      `json:"query"`
	Refresh    int         `json:"refresh"`
	Sort       int         `json:"sort,omitzero"`
	IncludeAll bool        `json:"includeAll"`
	AllValue   string      `json:"allValue,omitzero"`
	Multi      bool        `json:"multi"`
	Hide       int         `json:"hide"`
	Current    struct {
		Text  string `json:"text"`
		Value string `json:"value"`
	} `json:"current"`
}

type annotation struct {
	Name       string     `json:"name"`
	Datasource datasource `json:"datasource"`
	Enable     bool       `json:"enable"`
	IconColor  string     `json:"iconColor"`
	Expr       string     `json:"expr"`
	TitleText  string     `json:"titleFormat"`
	TagKeys    string     `json:"tagKeys"`
	Step       string     `json:"step"`
}

// element is a row or a panel.
type element struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description,omitzero"`
	GridPos         gridPos          `json:"gridPos"`
	Collapsed       *bool            `json:"collapsed,omitzero"`
	Panels          *[]element       `json:"panels,omitzero"`
	Datasource      *datasource      `json:"datasource,omitzero"`
	Targets         []target         `json:"targets,omitzero"`
	FieldConfig     *fieldConfig     `json:"fieldConfig,omitzero"`
	Options         map[string]any   `json:"options,omitzero"`
	Transformations []transformation `json:"transformations,omitzero"`
	Links           []link           `json:"links,omitzero"`
}

type gridPos struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

type target struct {
	RefID        string     `json:"refId"`
	Datasource   datasource `json:"datasource"`
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat,omitzero"`
	Instant      bool       `json:"instant,omitzero"`
	Range        bool       `json:"range,omitzero"`
	Format       string     `json:"format,omitzero"`
}

type fieldConfig struct {
	Defaults  fieldDefaults `json:"defaults"`
	Overrides []override    `json:"overrides"`
}

type fieldDefaults struct {
	Unit       string         `json:"unit,omitzero"`
	Min        *float64       `json:"min,omitzero"`
	NoValue    string         `json:"noValue,omitzero"`
	Color      map[string]any `json:"color,omitzero"`
	Thresholds *thresholds    `json:"thresholds,omitzero"`
	Custom     map[string]any `json:"custom,omitzero"`
}

type thresholds struct {
	Mode  string `json:"mode"`
	Steps []step `json:"steps"`
}

// step is a colour from a value on; the first has none.
type step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

type override struct {
	Matcher    map[string]any   `json:"matcher"`
	Properties []map[string]any `json:"properties"`
}

type transformation struct {
	ID      string         `json:"id"`
	Options map[string]any `json:"options"`
}
