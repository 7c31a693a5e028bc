"""Golden renderings of small template snippets by jinja2 3.1, in the environment that Hugging Face uses for chat templates.

Usage: make_snippets.py   (writes snippets.json beside this file; needs jinja2)
snippets.json: [{"source": ..., "variables": {...}, "text": ...} or {..., "error": ...}, ...]
"""
import datetime, json, os
import jinja2, jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

CLOCK = datetime.datetime(2026, 11, 24, 12, 0, 0)


def to_json(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def fail(message):
    raise jinja2.exceptions.TemplateError(message)


class GenerationBlock(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.Scope(body).set_lineno(line)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=["jinja2.ext.loopcontrols", GenerationBlock])
    env.filters["tojson"] = to_json
    env.globals["raise_exception"] = fail
    env.globals["strftime_now"] = lambda fmt: CLOCK.strftime(fmt)
    return env


VARIABLES = {
    "s": "Hello World", "u": "Grüße, 世界 🎉!", "e": "", "sp": "  \t padded text \n ", "lines": "one\ntwo\r\nthree\n\nfive\n",
    "n": 7, "z": 0, "neg": -7, "f": 2.5, "big": 1e20, "huge": 2**64 - 1, "small": 1.5e-7, "whole": 3.0, "t": True, "no": False, "nil": None,
    "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "le": [], "nested": [[1, 2], [3, [4, 5]]], "mixed": [1, 2.5, "x", None, True, {"a": 1}],
    "d": {"b": 1, "a": [1, 2], "C": {"x": None}, "items": "shadow"}, "de": {}, "q": "it's \"quoted\" \\ back\n",
    "users": [{"name": "Zed", "age": 30, "city": "B"}, {"name": "amy", "age": 25, "city": "a"}, {"name": "Bob", "age": 30, "city": "b"}],
    "csv": "a,b,,c,d", "w": "a b  c   d ", "html": "<a href='x'>T & \"Q\"</a>",
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}, {"v": 5, "c": []}],
}

EXPRESSIONS = r"""
s|u|e|sp|n|f|big|small|whole|t|no|nil|l|nested|mixed|d|q
1+2*3|7//2|-7//2|7%3|-7%3|7%-3|2**10|2**-1|2**3**2|-2**2|7/2|6/3|7.5//2|-7.5//2|7.5%2|-7.5%2|1e3|1_000|0x1F|0b101|0o17|1.5e3|1e16|1e15|123456789.123|0.0001|0.00001|1e-7|1.0|100.0|3.14e100
1/0|1//0|1%0|1.0/0|9223372036854775807|True+1|True*3|1+1.5|-t|+n|-f|-s|'a'-'b'|1+'a'|'a'+1|nil+1
'a'*3|3*'ab'|'a'*-1|[1]*3|[1]+[2]|(1,)+(2,)|[1]+(2,)|'a'~1~nil~2.0~true|e~undef~1
1<2<3|1<3<2|1==1.0|1==True|'a'<'b'|'a'<1|[1,2]<[1,3]|(1,2)==(1,2)|[1]==(1,)|1!=2|nil==none|undef==undef2|undef==nil|1>=1|2<=1|{'a':1}=={'a':1.0}
'a' in 'abc'|1 in [1,2]|1 not in [1,2]|'b' in d|'x' in d|1 in 'abc'|'a' in undef|nil in l|'a' in nil|3 in range(5)|5 in range(5)|not 1 in [1]
not t|not e|t and 5|no or 'x'|e or nil or 0|1 and 2 and 3|0 and undef.x|1 if t|1 if no|(1 if no) is defined|1 if no else 2|1 if no else 2 if no else 3
s[0]|s[-1]|s[100]|s[1:4]|s[::-1]|s[:-3]|s[-3:]|s[::2]|s[10:2:-2]|u[2]|u[-2]|u[7:]|u[::-1]|u[7:9]|l[0]|l[-1]|l[5]|l[1:]|l[::-1]|l[-2:]|l[:10]|l[5:]|l[::0]|l['a']|s['upper']()|s[nil:2]|e[::-1]|e[0:]|le[::-2]|s[0:-1]|s[-100:3]|s[3:-100:-1]
d.b|d['a']|d.a[0]|d.C.x|d.missing|d.missing.x|d['missing']|d.items|d['items']|d.get('b')|d.get('zz')|d.get('zz',5)|d.get('zz',default=5)|d.keys()|d.values()|d.items()|d.keys()|list|d|list|d|length|d.C.get('x')|d.C.get('x','y')|nil.x|undef.x|undef['x']|undef|undef()|s.foo|s.foo()|l.foo|n.foo|d.update({})|l.append(1)|l.pop()|d.pop('b')|d.setdefault('q',1)|l.append|l.append is defined|s.__class__|d.__class__|l.sort()|d.copy()|l.copy()
[1,2,3][1]|(1,2,3)|(1,)|()|[]|{}|{'a':1,'b':[1,'x']}|{1:2,none:3,true:4}|[none,true,1.0,'it\'s','"',"a'b\"c"]|['\n\t\\','é','\x00','\x7f','\u200b','\xa0','🎉']|{'a':1}['a']|{'a':1}.a|[1,2,][0]|(1)|((1))|[[1]]|{'a':undef}|[undef]
'a' 'b' "c"|'\x41\u00e9\101\q\'"'|"\"x\""|'a\nb'|'tab\there'
"""

FILTERS = r"""
s|upper;s|lower;s|title;s|capitalize;u|upper;u|title;u|capitalize;'straße'|upper;'ΑΣ'|lower;'hello wOrld-foo (bar) it\'s'|title;'hello wOrld-foo (bar) it\'s'.title();'ǆ'|title;'ﬁne'|capitalize;'ÀÉ'|lower;n|upper
sp|trim;s|trim('Hd');'xxaxx'|trim('x');nil|trim;n|trim;undef|trim;'\u3000x\u00a0'|trim;sp|trim|length;'  a b  '|trim
s|replace('l','L');s|replace('l','L',2);s|replace('','-');s|replace('o',1);n|replace(7,8);e|replace('','x');s|replace('zz','y');s|replace('l','');s|replace('l',nil)
lines|indent;lines|indent(2);lines|indent(2,true);lines|indent(2,true,true);lines|indent(2,blank=true);lines|indent('> ');'a'|indent;e|indent;n|indent;'a\n'|indent;'a\n\nb'|indent(width=3,first=true)
'42'|int;'42.7'|int;'x'|int;'x'|int(5);' 12 '|int;'0x1A'|int(base=16);'1A'|int(0,16);'1_000'|int;f|int;neg|int;-2.5|int;nil|int;t|int;l|int;undef|int;'1e3'|int;'-5'|int;'+5'|int;''|int;'１２'|int
'4.5'|float;'x'|float;'x'|float(1.5);n|float;'inf'|float;'-1e3'|float;nil|float;'nan'|float;'1e400'|float;t|float
n|string;nil|string;f|string;l|string;d|string;undef|string;t|string;s|string
undef|default;undef|default('x');nil|default('x');nil|default('x',true);e|default('x',true);s|default('x');undef|d(5);d.missing|default([]);undef.x|default('y');d.C.x|default('n', boolean=true)
l|length;s|length;u|length;d|length;e|length;nil|length;n|length;undef|length;range(5)|length;(1,2)|count;l|map('string')|length;lines|length
l|first;l|last;le|first;le|last;s|first;s|last;u|last;d|first;undef|first;(1,2)|last;range(3)|last;l|map('string')|first;l|map('string')|last;nil|first
l|sort;ls|sort;ls|sort(case_sensitive=true);ls|sort(reverse=true);users|sort(attribute='age')|map(attribute='name')|list;users|sort(attribute='name')|map(attribute='name')|join(',');users|sort(attribute='age,name')|map(attribute='name')|join(',');users|sort(true,attribute='age')|map(attribute='name')|join(',');mixed|sort;s|sort;d|sort;undef|sort
l|join;l|join(', ');ls|join('-');users|join(', ',attribute='name');s|join('.');d|join(',');le|join;undef|join;nil|join;mixed|join('|');l|join(1);users|map(attribute='age')|join(' ')
l|list;s|list;d|list;range(4)|list;undef|list;nil|list;u|list;d.items()|list;d|items|list;undef|items|list;l|items
d|dictsort;d|dictsort(true);{'b':2,'a':3,'c':1}|dictsort(by='value');{'b':2,'a':1}|dictsort(reverse=true);{'b':2,'a':1}|dictsort(false,'value',true);undef|dictsort;l|dictsort;{'B':1,'a':2}|dictsort;{'B':1,'a':2}|dictsort(case_sensitive=true);{1:2,'a':3}|dictsort
l|sum;users|sum('age');users|sum(attribute='age');le|sum;l|sum(start=10);ls|sum;[1.5,2]|sum;nested|sum(start=[])
l|min;l|max;ls|min;ls|max;ls|max(case_sensitive=true);le|min;users|max(attribute='age');users|min(attribute='name');mixed|max;s|max
l|reverse|list;s|reverse;u|reverse;(1,2)|reverse|list;nil|reverse;d|reverse|list
ls|unique|list;['a','A','b']|unique|list;['a','A']|unique(true)|list;users|unique(attribute='age')|map(attribute='name')|list;[1,1.0,true,'1']|unique|list;[[1]]|unique|list
l|batch(2)|list;[1,2,3,4,5]|batch(2,'x')|list;[1,2,3,4,5]|slice(2)|list;[1,2,3,4,5]|slice(3,'x')|list;[1,2]|slice(3)|list;le|batch(2)|list;le|slice(2)|list
users|groupby('age')|list;users|groupby('city')|list;users|groupby('city',case_sensitive=true)|map(attribute='grouper')|list;users|groupby('nope',default='x')|map(attribute=0)|list
users|map(attribute='name')|list;users|map(attribute='zip',default='?')|list;ls|map('upper')|list;l|map('string')|list;ls|map('replace','a','x')|list;nested|map('first')|list;users|map(attribute='age')|sum;nested|map(attribute=1)|list;undef|map('upper')|list;users|map('nope')|list;[{'a':{'b':1}}]|map(attribute='a.b')|list;nested|map(attribute='1.0')|list;l|map|list;le|map('nope')|list
l|select('odd')|list;l|select|list;[0,1,'',none]|select|list;[0,1,'',none]|reject|list;l|reject('odd')|list;l|select('gt',1)|list;l|select('in',[1,2])|list;users|selectattr('age','eq',30)|map(attribute='name')|list;users|rejectattr('age','eq',30)|map(attribute='name')|list;users|selectattr('name')|list|length;users|selectattr('zip','defined')|list;users|selectattr('zip','undefined')|list|length;users|selectattr('age','==',25)|list;l|select('nope')|list;users|selectattr|list;undef|selectattr('x')|list;mixed|select('string')|list;users|selectattr('city','in','ab')|list|length
2.5|round;3.5|round;2.675|round(2);2.5|round(0,'ceil');2.5|round(method='floor');n|round;1234|round(-2);0.5|round;1.005|round(2);-2.5|round;2.345|round(1,'ceil');s|round;2.5|round(1,'x')
neg|abs;-2.5|abs;s|abs;t|abs;undef|abs
d|tojson;mixed|tojson;u|tojson;u|tojson(ensure_ascii=true);d|tojson(indent=2);d|tojson(indent=0);de|tojson(indent=2);le|tojson(indent=2);d|tojson(sort_keys=true);d|tojson(separators=(',',':'));d|tojson(indent=4,separators=(', ',': '));q|tojson;undef|tojson;{1:2,none:3,true:4,1.5:5}|tojson;[1e20,1.5e-7,3.0,100000000000000000.0]|tojson;nested|tojson(indent=1);'\x00\x1f\x7f\u2028</script>'|tojson;(1,2)|tojson;range(2)|tojson;d.items()|tojson;d|tojson(true);d|tojson(indent='\t');nil|tojson;t|tojson;2.0|tojson;l|map('string')|tojson;'inf'|float|tojson;{(1,2):3}|tojson;d|tojson(indent=none);d|tojson(nope=1);'🎉'|tojson(ensure_ascii=true)
html|e;html|escape;html|safe;html|forceescape;n|e;html|urlencode;'a b/c?d=é'|urlencode;{'a b':'c/d','x':1}|urlencode;[('a',1),('b','é')]|urlencode;{'class':'x','id':none,'t':'a"b'}|xmlattr;{'a':1}|xmlattr(false);undef|e
'a b c'|wordcount;u|wordcount;e|wordcount;'foo'|center(9);'foo'|center(8);'fo'|center(5);'foo'|center(2)|length;'%s and %d'|format('x',3);'%(a)s'|format(a=1);'%5.2f|%-5s|%05d|%x|%%'|format(3.14159,'ab',42,255);'%s'|format();'%s'|format(1,2);'hello world foo bar'|truncate(11);'hello world foo bar'|truncate(11,true);'hello world foo bar'|truncate(9,false,'…',0);'short'|truncate(3,end='');123456|filesizeformat;1|filesizeformat;123|filesizeformat;123456|filesizeformat(true);l|pprint
s|attr('upper');d|attr('b');d|attr('b') is defined;s|nope;s|nope(1);1 is nope;(s|nope) if no else 1;(1 if no else s|nope);s|upper|lower|title;s|replace('H','J')|upper;-1|abs;-5.5|int;1+2|string;'a'~1|string|length;s|default('x')|length;(s~'!')|length
"""

TESTS = r"""
s is defined;undef is defined;undef is undefined;d.x is defined;d.b is defined;nil is none;nil is not none;undef is none;t is true;1 is true;no is false;0 is false;t is boolean;1 is boolean;1 is integer;t is integer;1.0 is integer;1.0 is float;1 is float;t is number;1.5 is number;s is number;s is string;1 is string;d is mapping;l is mapping;l is sequence;s is sequence;d is sequence;(1,) is sequence;n is sequence;undef is sequence;range(3) is sequence;l|map('upper') is sequence;l is iterable;s is iterable;n is iterable;d is iterable;undef is iterable;l|map('upper') is iterable;range is callable;s.upper is callable;s is callable;undef is callable;l is callable
2 is even;3 is even;3 is odd;2.0 is even;s is even;10 is divisibleby 5;10 is divisibleby(3);10 is divisibleby 0;1 is eq 1;1 is equalto(2);1 is ne 2;1 is lt 2;1 is gt 2;1 is le 1;1 is ge 2;1 is lessthan 2;1 is greaterthan 2;1 is in [1,2];1 is not in [1,2];'a' is in 'abc';nil is sameas none;1 is sameas 1;1 is sameas true;1 is sameas 1.0;s is sameas s;'abc' is lower;'ABC' is upper;'aBc' is lower;'1' is upper;'upper' is filter;'nope' is filter;'odd' is test;'nope' is test;s is escaped;1 is == 1;s is string and n is number;s is not string or t;not s is string;s is defined and undef is not defined;1 is odd == true;n is number|string;d is defined is defined;n + 1 is even;(n + 1) is even;not n is even;l is eq [3,1,2];'x' is eq 'x' if t else 2;undef is string;nil is mapping;d.get is callable;1 is eq(1) and 2 is eq(2);s is eq "Hello World"
"""

METHODS = r"""
sp.strip();sp.lstrip();sp.rstrip();'xxaxx'.strip('x');'abcba'.lstrip('ab');'abcba'.rstrip('ab');'héé'.rstrip('é');s.strip(nil);s.strip(1);' \u2003x\u00a0'.strip();'\x1cx\x1f'.strip()
csv.split(',');csv.split(',',1);csv.split(',',maxsplit=2);w.split();w.split(nil,1);w.split(maxsplit=2);w.rsplit(nil,1);w.rsplit(maxsplit=2);csv.rsplit(',',1);csv.rsplit(',');s.split('');s.split('zz');e.split();e.split(',');'aXXbXXc'.split('XX');'aXXbXXc'.rsplit('XX',1);'aaa'.split('aa');'aaa'.rsplit('aa');' a '.split(' ');w.split(nil,0);w.rsplit(nil,0);csv.split(',',0);csv.split(',',-1);' a b '.split(nil,5);s.split(1);csv.split(sep=',')
lines.splitlines();lines.splitlines(true);e.splitlines();'a\x0bb\x0cc\x1cd\x85e\u2028f'.splitlines();'\n\n'.splitlines()
s.startswith('He');s.startswith(('x','He'));s.endswith('ld');s.endswith(('x','y'));s.startswith('el',1);s.startswith('He',0,1);s.startswith(1);s.startswith(['He']);s.startswith('');e.startswith('');s.endswith('Wor',0,9);s.startswith('',100);s.endswith(())
s.replace('l','L');s.replace('l','L',1);s.replace('','-');s.replace('l','L',0);e.replace('','x');'aaa'.replace('aa','b');s.replace('l');s.replace(1,2)
s.find('o');s.find('o',5);s.find('zz');s.rfind('o');s.rfind('o',0,5);s.index('o');s.index('zz');s.rindex('o');u.find('世');u.rfind('界');s.find('');s.find('',100);s.count('l');s.count('l',4);s.count('');'aaaa'.count('aa');u.count('');s.find('o',-4);s.find('o',nil,5)
'-'.join(ls);'-'.join(l);''.join(s);', '.join(d);'-'.join(le);'-'.join(users|map(attribute='name'));' '.join(['a']);'x'.join('abc')
s.upper();s.lower();s.title();s.capitalize();s.swapcase();u.upper();u.swapcase();'ß'.upper();'İ'.lower()|length;'ΑΣ Σ'.lower();'hELLO wORLD'.capitalize();"they're bill's".title();'x'.casefold();'ŉ'.title()
'123'.isdigit();'12a'.isdigit();e.isdigit();'²'.isdigit();'²'.isdecimal();'½'.isnumeric();'abc'.isalpha();'é世'.isalpha();'a1'.isalnum();' \n'.isspace();e.isspace();'Ab'.istitle();'AB'.isupper();'ab1'.islower();'1'.islower();'abc'.isascii();'é'.isascii();e.isascii();'a_1'.isidentifier();'1a'.isidentifier();'a\n'.isprintable();'A Bc'.istitle();'Abc dE'.istitle()
'prefix_x'.removeprefix('prefix_');'x_suf'.removesuffix('_suf');s.removeprefix('zz');s.removesuffix('');'42'.zfill(5);'-42'.zfill(5);'+1'.zfill(4);'abc'.zfill(2);'a'.center(5);'ab'.center(5,'*');'a'.ljust(3,'.')~'|';'a'.rjust(3)~'|';'ab'.center(4,'xy');'a\tb'.expandtabs();'a\tb'.expandtabs(4);'a=b=c'.partition('=');'a=b=c'.rpartition('=');'abc'.partition('=');'abc'.rpartition('=');s.nope();s.upper(1);'é'.center(4,'世')
'{} {}'.format(1,'x');'{0}{1}{0}'.format('a','b');'{a}-{b}'.format(a=1,b=2);'{:>5}|{:<5}|{:^5}'.format('a','b','c');'{:05d}'.format(42);'{:.2f}'.format(3.14159);'{:,}'.format(1234567);'{:x} {:X} {:b} {:o} {:#x}'.format(255,255,5,8,255);'{!r}'.format('a');'{!s:>4}'.format('a');'{{}}'.format();'{'.format();'}'.format();'{}'.format();'{0.x}'.format(d);'{0[b]}'.format(d);'{a[0]}'.format(a=l);'{:e}'.format(12345.678);'{:g} {:g} {:g}'.format(0.0001,1e10,1.5);'{:%}'.format(0.25);'{:+d} {: d}'.format(5,5);'{:*^9}'.format('mid');'{:{w}}|'.format('a',w=4);'{:5}|{:5}|'.format('a',1);'{:s}'.format(1);'{:d}'.format('a');'{:d}'.format(1.5);'{}'.format(nil);'{:.3}'.format('abcdef');'{:10.3f}|'.format(2.0);'{}'.format(l);'{:.1f}'.format(2);'{}'.format(true);'{:5}'.format(true);'{:>5}'.format(nil);'{:.3}'.format(1234.5);'{:08.3f}'.format(-3.14159);'{:,.2f}'.format(1234567.891)
'%s' % 'x';'%s %s' % ('a',1);'%d' % 3.7;'%5s|%-5s|' % ('a','b');'%05.1f' % 2.25;'%(x)s %(y)d' % {'x':1,'y':2};'%s' % l;'%r' % 'a';'%%' % ();'%s' % ();'%x %X %o' % (255,255,8);'%c' % 65;'%e' % 1234.5;'%g' % 0.00001;'%+d % d' % (1,2);'%s' % nil;'%d' % 'x';'%i' % 5;'%.2s' % 'abc';'%s' % 1.0;'%s%%' % 5;'a' % 'b';'a' % {'x':1};'%*d' % (5,42)
l.index(1);l.index(9);l.count(1);l.count(9);(1,2,1).count(1);(1,2).index(2);l.index(2,1);1.5.is_integer();(2.0).is_integer();d.get();d.get(1,2,3);d.items(1);[1,[2]].index([2]);d.get([1])
range(3);range(1,3);range(5,0,-2);range(0);range(3)|list;range(5,0,-2)|list;range(1,10,3)|list;range(0,5)[1];range(5)[-1];range(100001);range(1,2,0);range('a');range();range(10)[2:5];range(5)|sum;range(3)|join;dict(a=1,b=2);dict({'a':1},b=2);dict([('a',1)]);dict();namespace(a=1).a;namespace(a=1).b;namespace({'a':5}).a;namespace(a=1);range(3)==range(0,3,1);range;dict(a=1)|tojson;strftime_now('%Y-%m-%d');strftime_now('%d %B %Y, %H:%M:%S %A %j %p %b %y');strftime_now('%-d %e %f');raise_exception('stop: it\'s wrong');strftime_now('plain');raise_exception();lipsum is string
"""

TEMPLATES = [
    # white space
    "a\n{% if t %}\nb\n{% endif %}\nc\n", "a\n  {% if t %}  \n  b\n  {% endif %}\nc", "a  {%- if t -%}  b  {%- endif -%}  c", "  {% if t %}x{% endif %}", "x {% if t %}y{% endif %} z",
    "a\n   {%+ if t %}b{% endif %}", "{% if t +%}\nb{% endif %}", "a {{- ' b ' -}} c", "{{ 'a' }}\n{{ 'b' }}\n", "\n{{ 'a' }}", "a\n\n", "a\n", "", "\n", "{# c #}\nx", "  {# c #}\nx", "a {#- c -#} b", "a{# multi\nline #}b", "{#- c #}x",
    "a\r\nb\rc\n", "{%- set x = 1 -%}\n\n  a", "a\n \t{%- set x = 1 %}\nb", "{% raw %}{{ x }} {% y %}{% endraw %}", "{% raw -%}  a  {%- endraw %}\nb", "a\n  {% raw %}\n x\n  {% endraw %}\nb", "{%- raw %} a {% endraw -%} b",
    "{{ '{{' }}{{ '%}' }}", "{{ {'a': {'b': 1}} }}", "{{ {'a': {'b': 1}}.a.b }}", "{{'a'}}", "{{-'a'-}}", "  {{ 'a' }}  ", "{% if t %}a{% endif %}\n\nb", "\u3000{%- if t %}x{% endif %}", "a\u00a0{%- if t %}x{% endif -%}\u2003b", "{{ '}}' }}", "{{ \"a\nb\" }}", "{ {a} { % x", "{{ 1 }}{", "{% set a = 'x'\n  ~ 'y' %}{{ a }}", "{%\nif t\n%}\nx{%\nendif\n%}\ny",
    "{{ n -}}\n  {{ n }}", "{{ n }}\n  {%- if t %}\n  x\n  {%- endif %}\n", "x{% if t %}\n\n\ny{% endif %}", "\t{% if t %}\t\n\tx{% endif %}", "{% if t -%}\n   x\n{%- endif +%}\n y", "{#+ c +#}\nx", "{%+ set x = 1 %}\nx",
    # loops
    "{% for x in l %}{{ x }},{% endfor %}", "{% for x in le %}{{ x }}{% else %}none{% endfor %}", "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}", "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}", "{% for x in [1,1,2,2,1] %}{{ loop.changed(x) }} {% endfor %}", "{% for x in l %}{{ loop.cycle('a','b') }}{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for k, v in d|dictsort %}{{ k }}{{ v }};{% endfor %}", "{% for k, v in d|items %}{{ k }}{% endfor %}", "{% for a, b in nested %}{{ a }}{{ b }}{% endfor %}", "{% for a, b in l %}{% endfor %}", "{% for a, b, c in nested %}{% endfor %}", "{% for a, (b, c) in [(1,(2,3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }};{% endfor %}", "{% for x in l if x > 5 %}{{ x }}{% else %}none{% endfor %}", "{% for x in l if x > 1 %}{{ x }}{{ loop.last }}{% endfor %}", "{% set ns = namespace(done=false) %}{% for x in l if not ns.done %}{{ x }}{% set ns.done = true %}{% endfor %}", "{% set ns = namespace(done=false) %}{% for x in l if not ns.done %}{{ x }}{{ loop.last }}{% set ns.done = true %}{% endfor %}",
    "{% for x in range(10) %}{% if x == 3 %}{% continue %}{% endif %}{% if x == 6 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% for y in l %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}", "{% for x in s %}{{ x }}.{% endfor %}", "{% for x in undef %}{{ x }}{% else %}e{% endfor %}", "{% for x in nil %}{% endfor %}", "{% for x in n %}{% endfor %}", "{% for x in undef.y %}{% endfor %}",
    "{% for n in tree recursive %}[{{ n.v }}@{{ loop.depth }}{% if n.c %}({{ loop(n.c) }}){% endif %}]{% endfor %}", "{% for x in l %}{{ loop(l) }}{% endfor %}", "{% for x in l %}{% set outer = loop %}{% for y in [1,2] %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}", "{% for x in l %}{{ loop }}{% endfor %}", "{{ loop }}", "{{ loop.index }}", "{% for x in l %}{% endfor %}{{ x }}", "{% set x = 9 %}{% for x in l %}{{ x }}{% endfor %}{{ x }}", "{% for x in l %}{% set y = x %}{% endfor %}{{ y }}", "{% set y = 0 %}{% for x in l %}{% set y = y + x %}{{ y }}{% endfor %}{{ y }}", "{% for x in l %}{{ y }}{% set y = x %}{{ y }}{% endfor %}", "{% set ns = namespace(t=0) %}{% for x in l %}{% set ns.t = ns.t + x %}{% endfor %}{{ ns.t }}", "{% for x in l %}{% if loop.first %}{% set y = 5 %}{% endif %}{{ y }}{% endfor %}",
    "{% for x in l|sort(reverse=true) %}{{ x }}{% endfor %}", "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}", "{% for x in (1,2) %}{{ x }}{% endfor %}", "{% for x in l[::-1] %}{{ x }}{% endfor %}", "{% for m in users[1:] %}{{ m.name }}{{ loop.index }}{% endfor %}", "{% for x in l + [4] %}{{ x }}{% endfor %}", "{% for x in [] %}{% endfor %}ok", "{% for x in l|map('string') %}{{ loop.length }}{{ x }}{% endfor %}", "{% for x in users|selectattr('age', 'gt', 26) %}{{ x.name }}{{ loop.last }}{% endfor %}", "{% for g in users|groupby('age') %}{{ g.grouper }}:{% for u in g.list %}{{ u.name }}{% endfor %};{% endfor %}", "{% for age, us in users|groupby('age') %}{{ age }}{{ us|length }}{% endfor %}", "{% for a in d.values() %}{{ a }}{% endfor %}", "{% for x in l %}{% else %}{{ loop }}{% endfor %}", "{% for i in range(3) %}{{ i }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% break %}", "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", "{% set g = l|map('string') %}{{ g|list }}{{ g|list }}", "{% for x in l %}{{ loop.nope }}{% endfor %}",
    # if
    "{% if undef %}a{% else %}b{% endif %}", "{% if no %}a{% elif n == 7 %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% elif no %}c{% endif %}", "{% if d.x is defined and d.x %}a{% endif %}", "{% if undef.x %}a{% endif %}", "{% if l and d and not e %}a{% endif %}", "{% if 0.0 %}a{% else %}b{% endif %}", "{% if 1, 2 %}a{% endif %}", "{% if t %}{% set q1 = 1 %}{% endif %}{{ q1 }}", "{% if no %}{% set q1 = 1 %}{% endif %}{{ q1 }}", "{% if 'a' %}x{% endif %}", "{% if (a if no) %}x{% else %}y{% endif %}",
    # set, with, blocks
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set a, b = [1] %}", "{% set x %}a{{ n }}b{% endset %}{{ x|upper }}", "{% set x | upper %}abc{% endset %}{{ x }}", "{% set x | upper | replace('A','z') %}abc{% endset %}{{ x }}", "{% set x | trim %}  a  {% endset %}[{{ x }}]", "{% set ns = namespace() %}{% set ns.x = 1 %}{{ ns.x }}{{ ns.y }}", "{% set d.x = 1 %}", "{% set undefn.x = 1 %}", "{% set ns = namespace(a=1) %}{% set ns.a, b = 5, 6 %}{{ ns.a }}{{ b }}", "{% set true = 1 %}", "{% set x = undef %}{{ x is defined }}", "{% set (a, b) = (1, 2) %}{{ a }}{{ b }}", "{% set x = 1 if t else 2 %}{{ x }}", "{% set a = 1 %}{% set a = a + 1 %}{{ a }}",
    "{% with %}{% set x = 1 %}{{ x }}{% endwith %}{{ x }}", "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% filter upper %}abc {{ s }}{% endfilter %}", "{% filter replace('a','b')|upper %}aXa{% endfilter %}", "{% filter indent(2) %}a\nb{% endfilter %}", "{% generation %}abc{% endgeneration %}\nx", "{% for x in l %}{% generation %}{{ x }}{% endgeneration %}{% endfor %}", "{% generation %}{% set x = 1 %}{% endgeneration %}{{ x }}", "{% print 1, 2 %}", "{% autoescape false %}{{ html }}{% endautoescape %}", "{% set f %}{% set inner = 5 %}{% endset %}{{ inner }}", "{% filter upper %}{% set inner = 5 %}{% endfilter %}{{ inner }}",
    # macros
    "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}{{ m() }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(x=2) }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}", "{% macro m() %}[{{ caller() }}]{% endmacro %}{% call m() %}x{{ n }}{% endcall %}", "{% macro m(l) %}{% for i in l %}{{ caller(i, loop.index) }};{% endfor %}{% endmacro %}{% call(a, b) m(l) %}{{ a }}-{{ b }}{% endcall %}", "{% macro m() %}{{ caller }}{% endmacro %}{{ m() }}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}",
    "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}", "{% macro m() %}{% set x = 5 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}", "{% macro m() %} a {% endmacro %}[{{ m()|trim }}]", "{% macro m(x) -%}\n  {{ x }}\n{%- endmacro %}{{ m('q') }}", "{% macro m() %}{{ loop }}{% endmacro %}{% for x in l %}{{ m() }}{% endfor %}", "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m(a='x', b) %}{% endmacro %}", "{{ m(1) }}{% macro m(a) %}{{ a }}{% endmacro %}", "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}", "{% macro m(a, kwargs=1) %}{{ kwargs }}{% endmacro %}{{ m(1) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(*[1]) }}{{ m(**{'a': 2}) }}", "{% macro m(a) %}{{ a|tojson }}{% endmacro %}{{ m({'x': [1]}) }}", "{% macro m() %}a{% endmacro %}{{ m() ~ 'b' }}{{ m() + 'c' }}{{ m()|length }}{{ m.name }}", "{% macro outer() %}{% macro inner(x) %}<{{ x }}>{% endmacro %}{{ inner(1) }}{{ inner(2) }}{% endmacro %}{{ outer() }}", "{% macro m(x) %}{% if x %}{{ x }}{% endif %}{% endmacro %}{% set r = m(5) %}{{ r }}{{ r is string }}", "{% macro m(a, b) %}{{ a }}|{{ b }}{% endmacro %}{{ m(1, b=2) }}{{ m(b=2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}",
    # objects
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}", "{% set j = joiner(', ') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}", "{% set j = joiner() %}{{ j() }}x{{ j() }}y", "{{ cycler() }}", "{% set f = s.upper %}{{ f() }}", "{% set g = d.get %}{{ g('b') }}",
    # errors and odd syntax
    "{{", "{{ }}", "{% if %}{% endif %}", "{% if t %}", "{% endif %}", "{% nope %}", "{% for x %}{% endfor %}", "{{ 1 + }}", "{{ (1 }}", "{{ [1, }}", "{{ a b }}", "{{ 'a }}", "{# x", "{{ 1 is odd is even }}", "{% do 1 %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{{ x | }}", "{{ a.1 }}", "{{ l.0 }}", "{{ l.0 + 1 }}", "{{ 1.5.2 }}", "{{ a..b }}", "{{ d . b }}", "{{ d [ 'b' ] }}", "{{ s . upper ( ) }}", "{{ s|upper|nope }}", "{% if no %}{{ s|nope }}{% endif %}ok", "{% if t %}{{ s|nope }}{% endif %}", "{% for x in l %}{{ s|nope }}{% endfor %}", "{% if no %}{% for x in l %}{{ s|nope }}{% endfor %}{% endif %}", "{{ 1 if t else }}", "{{ a = 1 }}", "{{ 1; 2 }}", "{{ @ }}", "{{ $x }}", "{% set %}", "{% set x %}", "{% macro %}", "{{ f(a=1, 2) }}", "{{ f(*a, *b) }}", "{{ {1} }}", "{{ {'a' 1} }}", "{{ not }}", "{{ 1 not 2 }}", "{{ -}}", "{%- -%}", "{{ 01 }}", "{{ 1__0 }}", "{{ s[1,2] }}", "{{ d[1,2] }}", "{{ l[1:2,3] }}", "{{ l[undef] }}", "{{ l[nil] }}", "{{ l[true] }}", "{{ l[1.0] }}", "{{ d[undef] }}", "{{ s[undef:] }}", "{{ ''.join([1|string, 'a']) }}", "{{ none.upper() }}", "{{ (none)|upper }}", "{{ True }}{{ true }}{{ None }}{{ none }}{{ False }}", "{{ 'a' if undef else 'b' }}", "{{ [1,2,3]|length > 2 }}", "{{ l|length + 1 }}", "{{ l | length == 3 and s | length == 11 }}", "{{ not l|length == 3 }}", "{{ 'x' ~ (l|length) ~ 'y' }}", "{{ 1 ~ 2 + 3 }}", "{{ 'a' ~ 'b' * 2 }}", "{{ 2 * 'a' ~ 'b' }}", "{{ -n|abs }}", "{{ -(n|abs) }}", "{{ (1, 2)[0] }}", "{{ {'a': 1}.get('b', {}).get('c', 'd') }}", "{{ (d.get('zz') or {}).get('y') }}", "{{ messages }}", "{{ users[0]['name'][0] }}", "{{ users[-1].name }}", "{{ users[5].name }}", "{{ users|map(attribute='name')|join(', ')|upper }}", "{{ s.split(' ')[0].lower()[1:3] }}", "{{ s.split(' ')|last }}", "{{ '<think>x</think> y'.split('</think>')[-1].lstrip('\\n') }}", "{{ ('a' in s) == no }}", "{{ 'l' in s and 'z' not in s }}", "{{ 'a,b'.split(',')|map('upper')|list }}", "{{ d | tojson | safe }}", "{{ d|tojson|length }}", "{{ dict(d, z=1)|tojson }}", "{{ {'a': 1, 'a': 2} }}", "{{ [l, l] }}", "{{ users|length ~ ' users' }}", "{{ (s, n)|join('-') }}", "{{ 1 in [1] in [[1]] }}", "{{ 1 == 1 in [1] }}", "{{ range(n)|batch(3)|map('list')|list }}", "{{ none is none and true is not false }}", "{{ 5 // 2 * 2 + 5 % 2 }}", "{{ 1 - -1 }}", "{{ 2 - 1 - 1 }}", "{{ 8 / 2 / 2 }}", "{{ 'é' == 'é' }}", "{{ ['a']|string }}", "{{ 'A' < 'a' < 'é' < '世' }}", "{{ (1,2) + (3,) }}", "{{ l|sort|first + l|sort|last }}", "{{ undef ~ 'x' }}", "{{ undef + 'x' }}", "{{ undef|length }}", "{{ undef == '' }}", "{{ undef or 'x' }}", "{{ undef is not defined or undef }}", "{{ undef in [1] }}", "{{ undef < 1 }}", "{{ not undef }}", "{{ undef * 2 }}", "{{ -undef }}", "{{ undef|upper ~ 'x' }}", "{{ [undef, 1] }}", "{{ undef[0] }}", "{{ undef.foo is defined }}", "{{ d.x.y is defined }}", "{{ d.x|default({})|length }}", "{{ u|list|length }}", "{{ s.format_map(d) }}", "{% block a %}x{% endblock %}",
]


MARKUP_TEMPLATES = [
    "{% set x %}<{{ html|safe }}{% endset %}{{ x + html }}", "{% macro m() %}<{% endmacro %}{{ m() + html }}|{{ (m()|safe) + html}}",
    "{% for c in html|safe %}{{ c + '<' }}{% endfor %}", "{% filter safe %}<{% endfilter %}", "{% set x | safe %}<{% endset %}{{ x + '<' }}",
    "{% set x = '<'|safe %}{% set x = x + '<' %}{{ x }}", "{{ 'a\nb'|safe ~ '<' }}", "{% set ns = namespace(x='<'|safe) %}{% set ns.x = ns.x + '&' %}{{ ns.x }}",
]

# markupsafe's Markup, and integers beyond 64 bits: one expression a line.
MARKUP = r"""
(html|safe) + html
html + (html|safe)
(html|safe)[0] + html
(html|safe)[:3] + html
(html|safe)*2 + html
2*(html|safe) + html
(html|safe) ~ html
'<%s>'|safe % html
'<%s %r>'|safe % (html, html)
('<%s %r>'|safe) % (html, html)
('<%s>'|safe) % (html|safe)
'%s' % (html|safe) + html
('%d %5.1f'|safe) % (3, 2.5)
('%x'|safe) % 5
('%5s'|safe) % '<'
('%(a)s'|safe) % {'a': html}
('%s'|safe) % [html]
('x'|safe) % [html]
'x' % [html]
('x'|safe) % html
('%s'|safe) % undef
('%c'|safe) % 65
('%*d'|safe) % (3,4)
('<{}>'|safe).format(html)
('<{}>'|safe).format(html|safe)
('<{:5}>'|safe).format(html|safe)
('<{:5}|{!r}|{!s}>'|safe).format('<', html, html|safe)
('<{a}>'|safe).format_map({'a': html})
('<{a.b}>'|safe).format(a={'b':html})
'{}'.format(html|safe) + html
'{:30}'.format(html|safe) + html
('<>'|safe).join([html, 1, html|safe, none, undef])
'<'.join([html|safe, html]) + html
[html|safe, html]|join('<') + html
[html, html]|join('<'|safe) + html
(html|safe).split('=')
(html|safe).split()
(html|safe).splitlines()
(html|safe).partition('=')
(html|safe).replace('a', '<')
(html|safe)|replace('a','<') + html
(html|safe).replace('a', '<'|safe)
html.replace('a', '<'|safe) + html
(html|safe).upper() + html
(html|safe)|upper + html
(html|safe)|lower + html
(html|safe)|capitalize + html
(html|safe)|title + html
(html|safe).title() + html
(html|safe)|trim + html
(html|safe).strip('<') + html
(html|safe)|center(40) + html
(html|safe).center(40, '<')
(html|safe).center(40, '-') + html
(html|safe).ljust(40, '<')
(html|safe).rjust(40) + html
(html|safe).zfill(40) + html
(html|safe).expandtabs() + html
(html|safe).swapcase() + html
(html|safe).casefold() + html
(html|safe).removeprefix('<') + html
(html|safe).removesuffix('>') + html
(html|safe)|string + html
(html|safe)|safe + html
html|e + html
html|e|e
html|escape|safe|e
html|forceescape
html|e|forceescape
(html|forceescape) + html
(html|e) is escaped
html is escaped
(html|safe) is string
('a<'|safe)|indent + html
('a\nb<'|safe)|indent(2, true) + html
('a\nb'|safe)|indent('<') + html
(html|safe)|truncate(10) + html
(html|safe)|truncate(10, true, '<') + html
(html|safe)|truncate(1000) + html
(html|safe)|urlencode + html
{'a': html}|xmlattr + html
{'a': html|safe}|xmlattr
(html|safe)|tojson + html
[html|safe]|tojson
[html|safe]
{'a': 'x'|safe}
('x'|safe,)
(html|safe)|pprint
('x'|safe)|pprint
(html|safe)|reverse + html
(html|safe)|first + html
(html|safe)|last + html
((html|safe)|list)[0] + html
(html|safe)|list|first + html
('<%s>'|safe)|format(html)
('<%(a)s>'|safe)|format(a=html)
'<%s>'|format(html|safe) + html
(html|safe) == html
(html|safe) in html
{html: 1}[html|safe]
(html|safe)|length
(html|safe) + 1
1 + (html|safe)
(html|safe) + undef
undef + (html|safe)
(html|safe) + none
[html|safe, html]|sum(start='')
[html|safe, html]|map('upper')|list
5|safe + html
none|safe
undef|safe + html
[html]|safe
5|e + html
[html]|e
(html|safe)|default('x') + html
(none|default('<'|safe)) + html
(html|safe).foo
(html|safe) < 'b'
('<'|safe)|wordcount
('a<b'|safe)|batch(2)|list
['b'|safe,'a']|sort
['b'|safe,'a']|unique|list
['b'|safe,'a']|max + html
(html|safe) and html
-('x'|safe)
('x'|safe) / 2
('x'|safe)|int
('5'|safe)|int + 1
'%s %s' % ('<'|safe, html)
(html|safe)|attr('upper')() + html
(html|safe)['upper']() + html
joiner('<'|safe)() ~ html
cycler('<'|safe).next() + html
huge
huge|tojson
[huge, {"a": huge}]
{"a": huge}|tojson
huge is integer
huge is float
huge is number
huge > 5
huge == huge
'%s' % huge
huge ~ 'x'
huge|string
"""


def sources():
    for line in EXPRESSIONS.strip().split("\n"):
        # A bar stands both between expressions and for filters: here it only separates.
        for expression in line.split("|"):
            yield "{{ " + expression + " }}"
    for group in (FILTERS, TESTS, METHODS):
        for line in group.strip().split("\n"):
            for expression in line.split(";"):
                yield "{{ " + expression + " }}"
    for expression in MARKUP.strip().split("\n"):
        yield "{{ " + expression + " }}"
    yield from MARKUP_TEMPLATES
    yield from TEMPLATES


def main():
    env = environment()
    out = []
    for source in sources():
        try:
            text = env.from_string(source).render(**VARIABLES)
            if " at 0x" not in text:  # an address differs from run to run
                out.append({"source": source, "text": text})
        except Exception as e:
            out.append({"source": source, "error": f"{type(e).__name__}: {e}"})
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "snippets.json"), "w", encoding="utf-8") as f:
        f.write('{"variables": ' + json.dumps(VARIABLES, ensure_ascii=False) + ',\n"snippets": [\n')
        f.write(",\n".join(json.dumps(x, ensure_ascii=False) for x in out) + "\n]}\n")
    print(len(out), "snippets,", sum("text" in x for x in out), "rendered")


if __name__ == "__main__":
    main()
